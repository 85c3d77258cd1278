"""Is an ensemble worth it: average, weighted, stacked and best of two and of three members, beside the best member.

Run with `python -m benchmarks.ensemble`. As of the first of each month from March to December the members are fitted on
the training set of flight_delays (60 days, the next week to stop and to weigh, three rolling folds for the stack) and
judged on its holdout, the newest week, which neither a fit nor a weight has seen; `SEEDS=7,8,9` does so thrice. Below
zero the ensemble is better. The interval is the platform's own paired bootstrap over the rows of all months; rows of a
day are alike, so the months won stand beside it.
"""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml_platform.contracts.home import Home
from ml_platform.contracts.spec import Ensemble, PipelineSpec
from ml_platform.data.splits.cut import parted
from ml_platform.demo.platform import Platform
from ml_platform.deployment.services import dagster_env, prepare_dagster_home
from ml_platform.orchestration.members import folds_of
from ml_platform.orchestration.recipes import fitter
from ml_platform.orchestration.refitting import load_pipeline
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.orchestration.resources import open_lake
from ml_platform.orchestration.training_rows import make_training_set
from ml_platform.training.ensembles import join_members
from ml_platform.training.losses import loss_of
from ml_platform.training.members import Member, fit_member
from ml_platform.validation.bootstrap import paired_intervals
from ml_platform.validation.measure import FloatArray
from ml_platform.validation.weighted import log_loss_of_rows, weighted_mean

PIPELINE, YEAR = "flight_delays", ("2013-01-01", "2013-12-31")
AS_OFS = [f"2013-{month:02d}-01" for month in range(3, 13)]
SEEDS = [int(each) for each in os.environ.get("SEEDS", "7").split(",")]
BOOSTED = {
    "learning_rate": 0.1, "max_leaves": 63, "max_depth": 0, "grow_policy": "lossguide", "min_child_weight": 30,
    "colsample_bytree": 0.5, "reg_lambda": 10,
}  # fmt: skip
OTHERS: dict[str, dict[str, Any]] = {"line": {"kind": "linear"}, "xgb": {"kind": "xgboost", "params": BOOSTED}}
TOGETHER = (("gbm", "line"), ("gbm", "line", "xgb"))
KINDS = ("average", "weighted", "stacked", "best")


@dataclass(frozen=True)
class Month:
    """The labels of a holdout, and what each member, and each ensemble of some members, says of it."""

    as_of: str
    labels: FloatArray
    members: Mapping[str, FloatArray]
    ensembles: Mapping[tuple[str, tuple[str, ...]], FloatArray]

    def loss(self, name: str) -> float:
        """Give the log loss of a member."""
        return loss_of(self.labels, self.members[name], "binary")


def main() -> None:
    """Load the year, fit, join, compare and print; `LOADED` names a home with the year in it."""
    warnings.simplefilter("ignore")  # Dagster's notices of beta features
    with tempfile.TemporaryDirectory() as folder:
        _load(Home(Path(folder) / "home"))
        months = [_month(seed, as_of) for seed in SEEDS for as_of in AS_OFS]
    _print(months)


def _load(home: Home) -> None:
    os.environ |= {**dagster_env(home), "DAGSTER_HOME": str(home.dagster)}
    loaded = os.environ.get("LOADED")
    if loaded:
        shutil.copytree(loaded, home.root)
    prepare_dagster_home(home, Path(__file__).parents[1])
    if not loaded and not Platform(PIPELINE).run("data", YEAR):
        raise RuntimeError("the year could not be loaded")


def _month(seed: int, as_of: str) -> Month:
    began, pipeline = time.perf_counter(), _pipeline(seed)
    spec, rows = pipeline.spec, parted(make_training_set(pipeline, open_lake(), as_of))
    folds, holdout = folds_of(spec, rows, as_of), rows.filter(pl.col("part") == "holdout")
    members = {name: fit_member(rows, fitter(spec, model), folds) for name, model in spec.models.items()}
    joined = dict(_joined(rows, members, folds))
    month = Month(
        as_of,
        holdout["label"].cast(pl.Float64).to_numpy(),
        {name: member.trained.predict(holdout) for name, member in members.items()},
        {name: each.predict(holdout) for name, each in joined.items()},
    )
    said = ", ".join(f"{name} {month.loss(name):.4f}" for name in members)
    print(f"{as_of}, seed {seed}: {said}; {time.perf_counter() - began:.0f} s", flush=True)
    return month


def _joined(
    rows: pl.DataFrame, members: Mapping[str, Member], folds: Sequence[pl.DataFrame]
) -> Iterator[tuple[tuple[str, tuple[str, ...]], Any]]:
    for of in TOGETHER:
        for kind in KINDS:
            ensemble = Ensemble.model_validate({"kind": kind, "of": list(of)})
            yield (kind, of), join_members(rows, members, ensemble, "binary", folds if kind == "stacked" else ())


@cache
def _pipeline(seed: int) -> Pipeline:
    """Give flight_delays with three members; all else is as it is shipped."""
    from ml_platform import defs

    shipped = load_pipeline(Path(defs.__path__[0]) / PIPELINE / "defs.yaml", f"{defs.__name__}.{PIPELINE}")
    told = shipped.spec.model_dump(mode="json", by_alias=True)
    models = {"gbm": told["models"]["gbm"], **OTHERS}
    told |= {
        "models": {name: {**model, "seed": seed} for name, model in models.items()},
        "ensemble": {"kind": "stacked", "of": list(models)},
        "split": told["split"] | {"folds": 3},
    }
    return replace(shipped, spec=PipelineSpec.model_validate(told))


def _print(months: Sequence[Month]) -> None:
    print("\n| member | log loss, mean of the months | best of the month |\n| --- | --- | --- |")
    names = list(months[0].members)
    means = {name: float(np.mean([month.loss(name) for month in months])) for name in names}
    for name in names:
        first = sum(min(names, key=month.loss) == name for month in months)
        print(f"| {name} | {means[name]:.4f} | {first} of {len(months)} |")
    print("\n| ensemble | of | log loss | minus its best member | won | minus the best in hindsight | won |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for kind, of in months[0].ensembles:
        fixed = min(of, key=means.__getitem__)
        said = [month.ensembles[kind, of] for month in months]
        loss = np.mean([loss_of(month.labels, each, "binary") for month, each in zip(months, said, strict=True)])
        known = _against(months, said, [fixed] * len(months))
        hindsight = _against(months, said, [min(of, key=month.loss) for month in months])
        print("| " + " | ".join([kind, ", ".join(of), f"{loss:.4f}", *known, *hindsight]) + " |")


def _against(months: Sequence[Month], said: Sequence[FloatArray], rivals: Sequence[str]) -> tuple[str, str]:
    """Give the paired difference to one member of each month, over all rows, and in how many months it is below zero.

    The seeds of a row count as one row: its losses are averaged first.
    """
    ours = [_losses(month, each) for month, each in zip(months, said, strict=True)]
    theirs = [_losses(month, month.members[name]) for month, name in zip(months, rivals, strict=True)]
    mine, other = (_over_seeds(months, each) for each in (ours, theirs))
    pair = {"log_loss": (weighted_mean(mine), weighted_mean(other))}
    found = paired_intervals(len(mine), pair)["log_loss"]
    won = sum(a.mean() < b.mean() for a, b in zip(ours, theirs, strict=True))
    return f"{found.estimate:+.4f} ({found.low:+.4f} to {found.high:+.4f})", f"{won} of {len(months)}"


def _losses(month: Month, said: FloatArray) -> FloatArray:
    return log_loss_of_rows(np.where(month.labels == 1, said, 1 - said))


def _over_seeds(months: Sequence[Month], losses: Sequence[FloatArray]) -> FloatArray:
    by_as_of = {as_of: [each for m, each in zip(months, losses, strict=True) if m.as_of == as_of] for as_of in AS_OFS}
    return np.concatenate([np.mean(each, axis=0) for each in by_as_of.values()])


if __name__ == "__main__":
    main()
