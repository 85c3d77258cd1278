"""Which feature alone orders a holdout best, and how that compares with the model."""

import numpy as np
import polars as pl

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.splits.telling import order, strengths
from ml_platform.orchestration.outcomes import FloatArray, Outcomes
from ml_platform.validation.plausible import ALONE_AT_LEAST, Alone


def strongest_alone(spec: PipelineSpec, rows: pl.DataFrame, said: FloatArray, happened: Outcomes) -> Alone | None:
    """Compare the strongest feature with what the model said, on the holdout.

    None where they cannot be judged, or the model itself orders too little to be too good: then no feature is read.
    Features that the spec allows to tell the label are left out.

    Parameters
    ----------
    rows : (n_rows, ...)
        The training set; the feature is fitted on its train part.
    """
    whole = _order(said, happened)
    if whole is None or _scaled(whole, happened.task) < ALONE_AT_LEAST:
        return None
    asked = rows.filter(pl.col("part") != "validation")
    columns = [name for name in spec.features.columns if name not in spec.split.may_tell_label]
    found = strengths(asked, columns, happened.task)
    told = {name: each for name, each in found.items() if each is not None}
    if not told:
        return None
    feature = max(told, key=lambda name: told[name])
    return Alone(feature, _scaled(told[feature], happened.task), _scaled(whole, happened.task))


def _order(said: FloatArray, happened: Outcomes) -> float | None:
    """Measure the model as a feature is measured: of several classes the one that it orders best counts."""
    if happened.task != "multiclass":
        return order(said, happened.labels, happened.task)
    each = [
        order(said[:, place], (happened.labels == place).astype(np.float64), "multiclass")
        for place in range(said.shape[1])
    ]
    return max((one for one in each if one is not None), default=None)


def _scaled(measured: float, task: Task) -> float:
    return measured if task == "regression" else 2 * measured - 1
