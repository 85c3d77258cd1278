"""A walk forward over 2013: the flights' model retrained as of the first of each month, each version gated.

Run with `python -m benchmarks.walk_forward`. The version as of March becomes champion; then a backfill of the ten
partitions from March to December makes training set, candidate and evaluation of each, and moves no traffic. The first
table has a line for each version: its holdout, its log loss beside the champion's on rows that neither saw in training,
and what the gates say. The second holds each against the version of the month before: what margins must leave room for.
"""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl

from ml_platform.contracts.evaluations import Bounds, Evaluation
from ml_platform.contracts.home import Home
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import Gate
from ml_platform.demo.platform import QUIET
from ml_platform.deployment.services import dagster_env, prepare_dagster_home
from ml_platform.ledger.folds import promotions
from ml_platform.orchestration.resources import open_lake, open_ledger, open_models
from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.predictor import Predictor
from ml_platform.validation.evaluation import ChampionScores, evaluate

PIPELINE = "flight_delays"
YEAR = ("2013-01-01", "2013-12-31")
AS_OFS = [f"2013-{month:02d}-01" for month in range(3, 13)]
STAGES = ("training_set", "candidate", "evaluation")
NO_WORSE = Gate(metric="log_loss", versus="champion", worse_by_at_most=0, confidence=0.95)
BESIDE = [
    NO_WORSE,
    NO_WORSE.model_copy(update={"newest": timedelta(days=3)}),
    NO_WORSE.model_copy(update={"confidence": None, "per": ["carrier"]}),
]
BACKFILL = {"dagster/backfill": "walkforward"}


def main() -> None:
    """Load the year, retrain ten times and print the table; `LOADED` names a home with the year in it."""
    warnings.simplefilter("ignore")  # Dagster's notices of beta features
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home")
        os.environ |= {**dagster_env(home), "DAGSTER_HOME": str(home.dagster)}
        loaded = os.environ.get("LOADED")
        if loaded:
            shutil.copytree(loaded, home.root)
        prepare_dagster_home(home, Path(__file__).parents[1])
        walk = _Walk()
        if not loaded:
            walk.load()
        walk.retrain(AS_OFS[0])
        began = time.perf_counter()
        for as_of in AS_OFS:
            walk.backfill(as_of)
        took = time.perf_counter() - began
        _print(walk.evaluations(), walk.reports())
        print("\nlog loss beside the month before (worse is positive), and at most, with confidence 0.95")
        print("| as of | whole holdout | newest 3 days | worst carrier |\n| --- | --- | --- | --- |")
        for before, after in pairwise(AS_OFS):
            print(f"| {after} | " + " | ".join(walk.beside(before, after)) + " |")
        print(f"\nten partitions in {took:.0f} s; champion throughout: v{walk.champion()}")


class _Walk:
    def __init__(self) -> None:
        from ml_platform.definitions import defs

        self._defs, self._ledger, self._models = defs(), open_ledger(), open_models()
        self._given: dict[str, Any] = {
            "instance": dg.DagsterInstance.get(), "run_config": QUIET, "raise_on_error": False,
        }  # fmt: skip

    def load(self) -> None:
        first, last = YEAR
        tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        self._require(self._defs.resolve_job_def(f"{PIPELINE}_data").execute_in_process(tags=tags, **self._given))

    def retrain(self, as_of: str) -> None:
        job = self._defs.resolve_job_def(f"{PIPELINE}_retrain")
        self._require(job.execute_in_process(partition_key=as_of, **self._given))

    def backfill(self, as_of: str) -> None:
        """Run one partition as a backfill does; a gate that does not pass fails the run, and the verdict stands."""
        job = self._defs.resolve_implicit_global_asset_job_def()
        selected = [dg.AssetKey([PIPELINE, stage]) for stage in STAGES]
        job.execute_in_process(partition_key=as_of, asset_selection=selected, tags=BACKFILL, **self._given)

    def evaluations(self) -> list[Evaluation]:
        """Give the newest evaluation of each as-of."""
        kept = [each.payload for each in self._ledger.read(PIPELINE) if each.kind == "evaluated"]
        found = {each.as_of: each for each in map(Evaluation.model_validate, kept)}
        return [found[as_of] for as_of in AS_OFS]

    def reports(self) -> dict[int, str]:
        """Name the report of each version in its MLflow run."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=self._models.url)
        return {each.version: _report(client, each) for each in self._models.registered()}

    def champion(self) -> int:
        [version] = {each.version for each in promotions(self._ledger.read(PIPELINE))}
        return version

    def beside(self, before: str, after: str) -> Iterator[str]:
        """Compare two versions on the holdout of the younger."""
        rows = open_lake().read(f"{PIPELINE}/training_set", [after])
        holdout = rows.filter(pl.col("part") == "holdout")
        mine, other = (self._predictor(as_of).predict(holdout) for as_of in (after, before))
        found = evaluate(
            self._version(after),
            labels=holdout["label"].cast(pl.Float64).to_numpy(), candidate=mine, baselines={},
            champion=ChampionScores(0, other, np.ones(len(holdout), dtype=bool)), gates=BESIDE, measure="binary",
            slices={"carrier": holdout["carrier"].to_list()},
            at=holdout["scheduled_departure"].dt.replace_time_zone(None).to_numpy(),
        )  # fmt: skip
        for each in found.verdicts:
            gap = (each.value or 0.0) - (each.reference or 0.0)  # of slices the value is the gap itself
            yield f"{gap:.4f}" + ("" if each.high is None else f", at most {each.high:.4f} on {each.rows:,} rows")

    def _predictor(self, as_of: str) -> Predictor:
        version = self._version(as_of)
        return Predictor.load(open_bundle(self._models.bundle(version), version.digest))

    def _version(self, as_of: str) -> ModelVersion:
        found = (each for each in self._models.registered() if (each.pipeline, each.as_of) == (PIPELINE, as_of))
        return max(found, key=lambda each: each.version)

    def _require(self, result: dg.ExecuteInProcessResult) -> None:
        if not result.success:
            raise RuntimeError(f"{result.job_def.name} failed")


def _report(client: Any, version: ModelVersion) -> str:
    """Find the report in the run that evaluated the version, the same that trained it."""
    paths, folders = [], [None]
    while folders:
        for each in client.list_artifacts(version.run_id, folders.pop()):
            if each.is_dir and not each.path.startswith("model"):
                folders.append(each.path)
            elif each.path.endswith(".html"):
                paths.append(each.path)
    return ", ".join(paths) or "none"


def _print(evaluations: list[Evaluation], reports: dict[int, str]) -> None:
    print("| as of | version | rows | log loss | champion's | ROC AUC | outcome | why | report |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for each in evaluations:
        own, champion = each.metrics["candidate"], each.metrics.get("champion", {})
        bounds = each.intervals.get("candidate", {})
        cells = [
            each.as_of, f"v{each.version}", f"{each.rows:,}", _number(own["log_loss"], bounds.get("log_loss")),
            _number(champion.get("log_loss"), None), _number(own["roc_auc"], bounds.get("roc_auc")), each.outcome,
            _why(each), reports.get(each.version, "none"),
        ]  # fmt: skip
        print("| " + " | ".join(cells) + " |")


def _number(value: float | None, bounds: Bounds | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" + (f" ({bounds.low:.4f} to {bounds.high:.4f})" if bounds else "")


def _why(evaluation: Evaluation) -> str:
    stopped = [each.sentence for each in evaluation.verdicts if each.outcome != "pass"]
    return "; ".join(stopped) or f"all {len(evaluation.verdicts)} gates passed"


if __name__ == "__main__":
    main()
