"""What a search is worth and what it costs: 20 trials on flights as of 2013-07-01, beside the hand-set parameters.

Run with `python -m benchmarks.search`. Two rolling folds of 53 and 60 days, each judged on the week after; the last
week of June is held out and looked at once. The overhead is all that is not a fit: asking, telling, the study on disk.
"""

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.window_auc import DERIVE, PLAIN
from ml_platform.contracts.spec import LightGBMModel, Model
from ml_platform.defs.flight_delays import source
from ml_platform.training.claims import Owner
from ml_platform.training.executor import LocalExecutor
from ml_platform.training.fitting import fit_model
from ml_platform.training.search import run_search
from ml_platform.training.studies import Place, Studies
from ml_platform.training.trials import Asked, Question, Trial, try_parameters
from ml_platform.validation.metrics import score

AS_OF, TRAIN, WEEK = date(2013, 7, 1), timedelta(days=60), timedelta(days=7)
TRIALS = int(os.environ.get("TRIALS", "20"))
HAND_SET = {"learning_rate": 0.03, "num_leaves": 63, "min_data_in_leaf": 200}  # as in flight_delays
SPACE = {
    "learning_rate": {"low": 0.03, "high": 0.3, "log": True},
    "num_leaves": {"low": 7, "high": 127, "log": True},
    "min_data_in_leaf": {"low": 20, "high": 500, "log": True},
    "feature_fraction": {"low": 0.4, "high": 1.0},
    "lambda_l2": {"low": 0.001, "high": 100, "log": True},
}


@dataclass(frozen=True)
class Ended:
    """Keeps the trials that ended."""

    trials: list[Trial]

    def begin(self, ended: Sequence[Trial], start: Mapping[str, Any] | None) -> None:
        """Hear of a search that begins."""

    def tell(self, trial: Trial, best: Trial | None) -> None:
        """Keep a trial."""
        del best
        self.trials.append(trial)


def main() -> None:
    """Search, and print loss and overhead."""
    flights = _flights()
    newest = AS_OF - WEEK  # the end of the newest validation
    folds = tuple(_cut(flights, newest - back, TRAIN - back) for back in (WEEK, timedelta(0)))
    options = {"kind": "lightgbm", "rounds": 500, "patience": 25}
    by_hand = Question(folds, PLAIN, LightGBMModel.model_validate(options | {"params": HAND_SET}), "binary")
    model = LightGBMModel.model_validate(options | {"search": {"trials": TRIALS, "space": SPACE}})
    question = Question(folds, PLAIN, model, "binary")
    hand = try_parameters(by_hand, Asked(0, {}))
    ended: list[Trial] = []
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        place = Place("flights", "gbm", AS_OF.isoformat(), "benchmark", "benchmark")
        studies, owner = Studies(f"sqlite:///{Path(folder) / 'studies.db'}"), Owner("benchmark", lambda _: True)
        with studies.open(place, owner) as study:
            outcome = run_search(question, study, LocalExecutor(), Ended(ended))
        seconds = time.perf_counter() - began
    fits = sum(trial.seconds for trial in ended)
    held_out = flights.filter(pl.col("day") >= newest, pl.col("day") < AS_OF)
    pruned = sum(trial.state == "pruned" for trial in ended)
    print(f"{TRIALS} trials, {pruned} pruned: {seconds:.1f} s, fits {fits:.1f} s, overhead {seconds / fits - 1:.1%}")
    for name, asked, loss in (("hand-set", by_hand, hand.loss), ("searched", question, outcome.best.loss)):
        params = {**asked.model.params, **({} if asked is by_hand else outcome.best.params)}
        print(f"{name}  folds {loss:.4f}  held out {_held_out(folds[-1], held_out, asked.model, params):.4f}  {params}")


def _flights() -> pl.DataFrame:
    """Give the flights of the spring with hour and weekday; cancelled ones have no label."""
    flights = pl.from_pandas(source._flights()).drop_nulls("is_late")
    local = pl.col("scheduled_departure").dt.convert_time_zone(source.NEW_YORK)
    clock = {"hour": local.dt.hour(), "weekday": local.dt.weekday() % 7}
    if clock.keys() != DERIVE.keys():
        raise RuntimeError(f"window_auc derives {', '.join(DERIVE)}")
    return flights.with_columns(day=local.dt.date(), label=pl.col("is_late"), **clock)


def _cut(flights: pl.DataFrame, end: date, train: timedelta) -> pl.DataFrame:
    """Give a fold whose validation is the week before a day."""
    begin, day = end - WEEK, pl.col("day")
    part = pl.when(day < begin).then(pl.lit("train")).otherwise(pl.lit("validation"))
    return flights.filter(day >= begin - train, day < end).with_columns(part=part)


def _held_out(rows: pl.DataFrame, held_out: pl.DataFrame, model: Model, params: dict[str, object]) -> float:
    fitted = fit_model(rows, PLAIN, model.model_copy(update={"params": params, "search": None}), "binary")
    labels = held_out["label"].cast(pl.Float64).to_numpy()
    return score(labels, np.asarray(fitted.predict(held_out), dtype=np.float64), "binary")["log_loss"]


if __name__ == "__main__":
    main()
