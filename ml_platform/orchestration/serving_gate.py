"""The gates of `kind: served`: a version that is not promoted, asked by the real server what was predicted offline."""

import polars as pl

from ml_platform.contracts.evaluations import Verdict
from ml_platform.contracts.records import ModelVersion
from ml_platform.contracts.spec import ServedGate
from ml_platform.data.lake.tables import Lake
from ml_platform.orchestration.holdout_rows import lookups_behind, newest_of_holdout, raw_and_offline
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import Bundle
from ml_platform.validation.served import NotServed, Served, judge_served


def served_verdicts(
    pipeline: Pipeline, version: ModelVersion, bundle: Bundle, rows: pl.DataFrame, lake: Lake
) -> list[Verdict]:
    """Judge the served gates of a spec, each on a server of its own; without such a gate no server is started.

    Parameters
    ----------
    rows : (n_rows, ...)
        The training set that the version was fitted on.
    """
    gates = [gate for gate in pipeline.spec.gates if isinstance(gate, ServedGate)]
    return [judge_served(gate, _measured(pipeline, version, bundle, rows, lake, gate.rows)) for gate in gates]


def _measured(
    pipeline: Pipeline, version: ModelVersion, bundle: Bundle, rows: pl.DataFrame, lake: Lake, count: int
) -> Served | NotServed:
    from ml_platform.deployment.infra import Asked, measure_served
    from ml_platform.serving.predictor import Predictor

    features = newest_of_holdout(rows, count)
    if features.is_empty():
        return NotServed("the holdout has no rows to ask for", is_fault_of_version=False)
    predictor = Predictor.load(bundle)
    asked = Asked(
        *raw_and_offline(pipeline, lake, predictor, features), lookups_behind(pipeline, lake, features)
    )  # fmt: skip
    return measure_served(bundle, version.version, predictor, asked)
