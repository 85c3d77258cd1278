"""What a pipeline's models are measured by, and the threshold at which a binary one says yes."""

import json
from collections.abc import Mapping

import numpy as np
import polars as pl

from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry import bundle as files
from ml_platform.training.trainer import Trained
from ml_platform.validation.measure import FloatArray, Measure, Own
from ml_platform.validation.thresholds import choose_threshold


def measure_of(pipeline: Pipeline, threshold: float) -> Measure:
    """Give what the pipeline's models are measured by."""
    spec = pipeline.spec
    own = {
        name: Own(pipeline.metrics[name], is_higher_better=each.better == "higher")
        for name, each in spec.metrics.items()
    }
    return Measure(spec.label.task, threshold, spec.decide.costs, spec.quantile, own)


def decision_files(pipeline: Pipeline, rows: pl.DataFrame, trained: Trained) -> dict[str, bytes]:
    """Give the file of a bundle that says how it decides, chosen on the validation part; none where nobody asked."""
    decide = pipeline.spec.decide
    if not decide.decides:
        return {}
    asked = rows.filter(pl.col("part") == "validation")
    threshold = choose_threshold(_labels(asked), trained.predict(asked), decide)
    return {files.DECISION: json.dumps({"threshold": threshold}).encode()}


def baseline_thresholds(
    pipeline: Pipeline, rows: pl.DataFrame, baselines: Mapping[str, FloatArray]
) -> dict[str, float]:
    """Choose a threshold for each baseline as for the candidate, so that costs are those of its best decisions."""
    if not pipeline.spec.decide.decides:
        return {}
    labels = _labels(rows.filter(pl.col("part") == "validation"))
    constants = {name: each[0] for name, each in baselines.items() if each.size and (each == each[0]).all()}
    return {
        name: choose_threshold(labels, np.full(len(labels), constant), pipeline.spec.decide)
        for name, constant in constants.items()
    }


def _labels(rows: pl.DataFrame) -> FloatArray:
    return rows["label"].cast(pl.Float64).to_numpy()
