"""The check on `endpoint`: real rows sent over HTTP give what the same version predicts offline."""

import dagster as dg
import numpy as np
import polars as pl

from ml_platform.contracts.ports import Ledger, ModelStore, Target
from ml_platform.data.lake.tables import Lake
from ml_platform.ledger.folds import Champion, champion
from ml_platform.orchestration.feature_rows import first_known
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import open_bundle

ROWS = 200
DIFFERENCE_AT_MOST = 1e-9  # JSON carries doubles exactly; what is left is the order of additions


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
    """Give the newest holdout rows as a client sends them, and the predictions on their stored features."""
    from ml_platform.serving.predictor import Predictor

    version = models.version(pipeline.name, present.version)
    predictor = Predictor.load(open_bundle(models.bundle(version), present.digest))
    features = lake.read(pipeline.table("training_set"), [present.as_of]).filter(pl.col("part") == "holdout").tail(ROWS)
    raw = first_known(pipeline, lake.read(pipeline.table("validated"), features["day"].unique().to_list()))
    asked = features.select(pipeline.spec.key).join(raw, on=pipeline.spec.key, how="left", maintain_order="left")
    return asked.select(predictor.plan.raw_columns), predictor.predict(features)
