"""The retrain job in this process against a bare script that reads, trains, evaluates and logs the same.

Run with `python -m benchmarks.retrain`. Both have a champion to meet, both are warm: a first round, not counted, makes
the databases and imports what there is to import. A model server runs, as it does in production. The platform's time
is that of the whole job: it also writes the training set, looks for leaks, keeps the ledger, deploys the new champion
and asks the server for it, which the script does not. The margin against the champion is wide, so that every candidate
gets through to the end.

There are two scripts. The one that the bound of 1.3 is taken against evaluates what the platform evaluates by default:
metrics with intervals, contributions of the features, pictures. The other leaves these out: metrics and gates alone.
"""

import os
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.bare_retrain import Bare
from ml_platform.contracts.home import Home
from ml_platform.contracts.spec import Gate, LightGBMModel
from ml_platform.demo.platform import QUIET
from ml_platform.deployment.ephemeral import ephemeral_server, server_argv
from ml_platform.deployment.services import dagster_env, prepare_dagster_home
from ml_platform.orchestration.catalogue import load_pipelines
from ml_platform.orchestration.graph import pipeline_definitions
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import platform_resources

PIPELINE = "flight_delays"
FIRST, LAST = "2013-02-01", "2013-06-30"
CHAMPION, WARM = "2013-05-01", "2013-05-15"
AS_OFS = os.environ.get("AS_OFS", "2013-06-01 2013-06-15 2013-07-01").split()
BOUND, MARGIN = 1.3, 0.05
SAME, LEAN = "script", "script without intervals and pictures"


def main() -> None:
    """Run both, in turns, and print medians, the ratio, and where the platform's time goes."""
    warnings.simplefilter("ignore")  # Dagster's notices of beta features
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        os.environ |= {**dagster_env(home), "DAGSTER_HOME": str(home.dagster)}
        if loaded := os.environ.get("LOADED"):  # a home that was loaded before
            shutil.copytree(loaded, home.root)
        prepare_dagster_home(home, Path(__file__).parents[1])
        with _served(home):
            pipeline = _pipeline()
            run = _runner(pipeline)
            if not loaded:
                run(
                    "data",
                    tags={"dagster/asset_partition_range_start": FIRST, "dagster/asset_partition_range_end": LAST},
                )
            _measure(run, _bare(pipeline, home, Path(folder) / "bare"), pipeline)


def _measure(run: Callable[..., None], bare: Bare, pipeline: Pipeline) -> None:
    took: dict[str, list[Took]] = {"job": [], SAME: [], LEAN: []}
    steps: dict[str, list[float]] = {}
    for as_of in (CHAMPION, WARM, *AS_OFS):
        job, known = _job(run, as_of), _steps()
        lean, same = _script(bare, pipeline, as_of), _script(replace(bare, is_told=True), pipeline, as_of)
        if as_of not in AS_OFS:
            continue
        for name, each in {"job": job, SAME: same, LEAN: lean}.items():
            took[name].append(each)
        for step, seconds in known.items():
            steps.setdefault(step, []).append(seconds)
        print(f"as of {as_of}  job {job}  {SAME} {same}  {LEAN} {lean}", flush=True)
    _compare(took)
    for step, seconds in steps.items():
        print(f"  {step:<45} {statistics.median(seconds):5.2f} s")
    left = statistics.median(each.wall_s for each in took["job"]) - sum(map(statistics.median, steps.values()))
    print(f"  {'between the steps':<45} {left:5.2f} s")


def _compare(took: "dict[str, list[Took]]") -> None:
    for what, part in (("wall", "wall_s"), ("processor", "cpu_s")):
        median = {name: statistics.median(getattr(each, part) for each in found) for name, found in took.items()}
        for name in (SAME, LEAN):
            bound = f" (bound {BOUND})" if name == SAME else ""
            ratio = median["job"] / median[name]
            print(f"{what} time: job {median['job']:.2f} s, {name} {median[name]:.2f} s, ratio {ratio:.2f}{bound}")


@dataclass(frozen=True)
class Took:
    """Seconds on the wall, and of the processor in all threads of this process: other work on the machine shows."""

    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        return f"{self.wall_s:5.2f} s ({self.cpu_s:5.2f} s of the processor)"


@contextmanager
def _timed(took: list[Took]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    took.append(Took(time.perf_counter() - wall, time.process_time() - cpu))


def _runner(pipeline: Pipeline) -> Callable[..., None]:
    """Give a function that runs a job of the pipeline; it raises if the run fails."""
    given = dg.Definitions(resources=platform_resources(), executor=dg.in_process_executor)
    definitions = dg.Definitions.merge(pipeline_definitions(pipeline), given)

    def run(verb: str, **options: Any) -> None:
        job = definitions.resolve_job_def(f"{PIPELINE}_{verb}")
        job.execute_in_process(instance=dg.DagsterInstance.get(), run_config=QUIET, **options)

    return run


def _job(run: Callable[..., None], as_of: str) -> Took:
    took: list[Took] = []
    with _timed(took):
        run("retrain", partition_key=as_of)
    return took[0]


def _script(bare: Bare, pipeline: Pipeline, as_of: str) -> Took:
    import mlflow

    before, took = mlflow.get_tracking_uri(), []
    mlflow.set_tracking_uri(os.environ["BARE_MLFLOW"])
    with _timed(took):
        bare.retrain(as_of, pipeline.spec.split.embargo // timedelta(days=1))
    mlflow.set_tracking_uri(before)
    return took[0]


def _steps() -> dict[str, float]:
    instance = dg.DagsterInstance.get()
    [record] = instance.get_run_records(limit=1)
    stats = instance.get_run_step_stats(record.dagster_run.run_id)
    spans = {each.step_key: (each.start_time, each.end_time) for each in stats}
    return {step: end - start for step, (start, end) in spans.items() if start is not None and end is not None}


@contextmanager
def _served(home: Home) -> Iterator[None]:
    with ephemeral_server(server_argv(home)) as url:
        os.environ["ML_PLATFORM_SERVER"] = url
        yield


def _pipeline() -> Pipeline:
    from ml_platform import defs

    found = load_pipelines(Path(defs.__path__[0]), defs.__name__)[PIPELINE]
    gates = [
        gate.model_copy(update={"worse_by_at_most": MARGIN})
        if isinstance(gate, Gate) and gate.versus == "champion"
        else gate
        for gate in found.spec.gates
    ]
    return replace(found, spec=found.spec.model_copy(update={"gates": gates}))


def _bare(pipeline: Pipeline, home: Home, folder: Path) -> Bare:
    import mlflow

    folder.mkdir()
    os.environ["BARE_MLFLOW"] = f"sqlite:///{folder / 'mlflow.db'}"
    client = mlflow.MlflowClient(os.environ["BARE_MLFLOW"])
    experiment = client.create_experiment("bare", artifact_location=(folder / "artifacts").as_uri())
    [model] = pipeline.spec.models.values()
    if not isinstance(model, LightGBMModel):
        raise TypeError(f"the bare script fits LightGBM, not {model.kind}")
    params = {
        "num_threads": min(os.cpu_count() or 1, 8), **model.params, "objective": "binary", "metric": "binary_logloss",
        "seed": model.seed, "deterministic": True, "force_row_wise": True, "verbosity": -1,
    }  # fmt: skip
    return Bare(str(home.lake), experiment, pipeline.spec.features.columns, params, model.rounds, model.patience)


if __name__ == "__main__":
    main()
