"""The check on `endpoint`: real rows sent over HTTP give what the same version predicts offline."""

import dagster as dg
import numpy as np
import polars as pl

from ml_platform.contracts.ports import Ledger, ModelStore, Target
from ml_platform.data.lake.tables import Lake
from ml_platform.ledger.folds import Champion, champion
from ml_platform.orchestration.deployed_bundle import champion_bundle
from ml_platform.orchestration.holdout_rows import newest_of_holdout, raw_and_offline
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.validation.served import DIFFERENCE_AT_MOST

ROWS = 200


def serves_offline_predictions(pipeline: Pipeline) -> dg.AssetChecksDefinition:
    """Make the check of a pipeline."""

    @dg.asset_check(
        asset=[pipeline.name, "endpoint"],
        description="Served values are the offline ones, on real rows of the holdout.",
    )
    def serves_offline_predictions(
        lake: dg.ResourceParam[Lake],
        ledger: dg.ResourceParam[Ledger],
        models: dg.ResourceParam[ModelStore],
        target: dg.ResourceParam[Target],
    ) -> dg.AssetCheckResult:
        present = champion(ledger.read(pipeline.name))
        if present is None:
            return dg.AssetCheckResult(passed=False, description="There is no champion to serve.")
        asked, offline = _offline(pipeline, present, lake, models)
        served = np.asarray(target.score(pipeline.name, asked.to_dicts(), present.version))
        worst = float(np.abs(served - offline).max())
        return dg.AssetCheckResult(
            passed=worst <= DIFFERENCE_AT_MOST,
            description=f"{len(asked)} rows served by v{present.version} differ from offline by at most {worst:.3g}",
            metadata={"rows": len(asked), "largest_difference": worst, "version": present.version},
        )

    return serves_offline_predictions


def _offline(pipeline: Pipeline, present: Champion, lake: Lake, models: ModelStore) -> tuple[pl.DataFrame, np.ndarray]:
    from ml_platform.serving.predictor import Predictor

    predictor = Predictor.load(champion_bundle(pipeline.name, present, models))
    rows = lake.read(pipeline.table("training_set"), [present.as_of])
    return raw_and_offline(pipeline, lake, predictor, newest_of_holdout(rows, ROWS))
