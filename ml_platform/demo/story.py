"""The story of the demo: a first model on real flights and its month, drift, a retrain that Dagster's daemon asks for.

Every step checks that it happened; one that did not ends the demo with an error. Only the passing of time is simulated.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from rich.console import Console

from ml_platform.contracts.errors import PlatformError
from ml_platform.contracts.home import Home
from ml_platform.demo.platform import Platform, daemon, fresh_home, watch_partitions
from ml_platform.demo.scoreboard import Scoreboard, scores_of
from ml_platform.demo.waiting import Patience, Waiting
from ml_platform.deployment.ephemeral import ephemeral_server, server_argv
from ml_platform.deployment.services import dagster_env, prepare_dagster_home
from ml_platform.ledger.folds import Champion

PIPELINE = "flight_delays"
DATA = ("2013-01-01", "2013-05-31")
FIRST_AS_OF, FIRST_MONTH = "2013-03-01", "2013-03"
SECOND_AS_OF, SECOND_MONTH = "2013-05-01", "2013-05"
ELSEWHERE = (
    "ML_PLATFORM_LEDGER",
    "ML_PLATFORM_STUDIES",
    "ML_PLATFORM_LAKE",
    "MLFLOW_TRACKING_URI",
    "ML_PLATFORM_MLFLOW_UI",
)


class DemoFailed(PlatformError):
    """A step of the demo did not happen."""


def run_demo(home: Home, project: Path, patience: Patience | None = None) -> None:
    """Run the demo in a home of its own, whatever stores the environment names: they may be production's.

    Parameters
    ----------
    patience : Patience
        How long it waits for the daemon and for the run that the daemon requests.

    Raises
    ------
    DemoFailed
        If a step did not happen.
    """
    console, began = Console(highlight=False), time.monotonic()
    for name in ELSEWHERE:  # from our own environment, which every child inherits
        os.environ.pop(name, None)
    fresh_home(home)
    prepare_dagster_home(home, project)
    with ephemeral_server(server_argv(home)) as server:
        os.environ.update({**dagster_env(home), "ML_PLATFORM_SERVER": server, "MLFLOW_LOGGING_LEVEL": "ERROR"})
        with _step(console, "the model server is up", server):
            platform = Platform(PIPELINE)
        board = _tell(console, platform, home, project, server, patience or Patience())
    console.print(board.render())
    console.print(f"\nAll of it really happened, in {time.monotonic() - began:.0f} s. What to do next:")
    console.print(f"  make up ARGS='--home {home.root}'   the same in the Dagster and MLflow UIs")
    console.print(f"  .venv/bin/ml-platform ledger --home {home.root}   every decision, hash-chained")
    console.print("  ml_platform/defs/flight_delays/defs.yaml   the pipeline you have just seen")


def _tell(
    console: Console, platform: Platform, home: Home, project: Path, server: str, patience: Patience
) -> Scoreboard:
    board = Scoreboard(server)
    days = (date.fromisoformat(DATA[1]) - date.fromisoformat(DATA[0])).days + 1
    loading = _step(console, "raw, validated, weather, planes, features", f"{days} days of real flights, one run")
    with loading as say, watch_partitions(console, platform, days):
        _require(platform.run("data", DATA), "the data job", "a successful run")
        say(board.count_data(platform))
    with _step(console, "training_set, candidate, evaluation, endpoint", f"as of {FIRST_AS_OF}") as say:
        _require(platform.run("retrain", (FIRST_AS_OF,)), "the first retrain", "a promoted model")
        first = _champion(platform, FIRST_AS_OF)
        say(board.add_evaluation(platform, first))
    with _step(console, f"flights of {FIRST_MONTH} over HTTP", "by now it is known which of them were late") as say:
        say(board.add_month(FIRST_MONTH, [scores_of(platform, first, FIRST_MONTH)]))
    with _step(console, "time goes on: drift", f"as of {SECOND_AS_OF}; Dagster's daemon is watching") as say:
        with daemon(home, project) as process:
            waiting = Waiting(platform.instance, process, say, patience)
            platform.start_sensor(project)
            waiting.for_first_tick(platform.sensor)  # it sets the cursor to now
            say(f"sensor {platform.sensor} is on")
            _require(platform.run("monitor", (SECOND_AS_OF,)), "the monitor job", "a drift report")
            say(board.add_drift(platform, SECOND_AS_OF))
            run_id = waiting.for_sensor_run(platform.sensor).run_id
        say(board.add_retrain(run_id))
        second = _champion(platform, SECOND_AS_OF)
        say(board.add_evaluation(platform, second))
    with _step(console, f"flights of {SECOND_MONTH} over HTTP", "both models; the server was never restarted") as say:
        months = [scores_of(platform, model, SECOND_MONTH) for model in (first, second)]
        say(board.add_month(SECOND_MONTH, months))
    better = months[1].metrics["log_loss"] < months[0].metrics["log_loss"]
    _require(better, f"the retrained model on {SECOND_MONTH}", "a lower log loss than the model it replaced")
    return board


def _champion(platform: Platform, as_of: str) -> Champion:
    found = platform.champion()
    if found is None or found.as_of != as_of:
        raise DemoFailed.because("champion", got=found, expected=f"a version as of {as_of}", hint="see the ledger")
    return found


def _require(happened: bool, what: str, expected: str) -> None:
    if not happened:
        raise DemoFailed.because(what, got="something else", expected=expected, hint="see the lines above")


@contextmanager
def _step(console: Console, title: str, note: str) -> Iterator[Callable[[str], None]]:
    """Frame a step: its title, what it says while it runs, and how long it took."""
    console.print(f"[bold]{title}[/bold]  [dim]{note}[/dim]")
    began = time.monotonic()
    yield lambda line: console.print(f"  {line}")
    console.print(f"  [dim]{time.monotonic() - began:.1f} s[/dim]")
