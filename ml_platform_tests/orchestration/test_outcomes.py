"""Labels and predictions of several models over one order of classes."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import polars as pl

from ml_platform.orchestration.outcomes import outcomes
from ml_platform.validation.metrics import FloatArray

ROWS = pl.DataFrame({"label": ["b", "c", "a", "new"], "part": ["train", "train", "validation", "holdout"]})


@dataclass(frozen=True)
class Saying:
    """A predictor that says the same of every row."""

    classes: tuple[str, ...]
    shares: tuple[float, ...]

    def predict(self, features: pl.DataFrame) -> FloatArray:
        """Give the shares for each row."""
        return np.tile(self.shares, (len(features), 1))


def _saying(classes: str, *shares: float) -> Any:
    return cast(Any, Saying(tuple(classes), shares))


def test_a_class_that_a_model_never_saw_has_no_probability() -> None:
    """The classes are those of any part and of any model; so a model loses where one comes that it does not know."""
    candidate, champion = _saying("bc", 0.4, 0.6), _saying("az", 0.1, 0.9)
    happened = outcomes(ROWS, "holdout", "multiclass", candidate, champion)
    assert happened.classes == ("a", "b", "c", "new", "z")
    assert happened.labels.tolist() == [3.0]
    holdout = ROWS.filter(pl.col("part") == "holdout")
    assert happened.said_by(candidate, holdout).tolist() == [[0, 0.4, 0.6, 0, 0]]
    assert happened.said_by(champion, holdout).tolist() == [[0.1, 0, 0, 0, 0.9]]


def test_classes_that_are_numbers_come_by_size() -> None:
    """A model of words beside them, as when the label's column changed, has nothing in common with them."""
    rows = ROWS.with_columns(label=pl.Series([10, 9, -1, 10]))
    assert outcomes(rows, "holdout", "multiclass", _saying("a", 1.0)).classes == (-1, 9, 10, "a")
    assert outcomes(rows, "train", "multiclass").labels.tolist() == [2.0, 1.0]


def test_other_labels_are_numbers_as_they_are() -> None:
    for labels, task, expected in (([True, False, True, True], "binary", [1.0]), ([1, 2, 3, 4], "regression", [4.0])):
        happened = outcomes(ROWS.with_columns(label=pl.Series(labels)), "holdout", cast(Any, task))
        assert (happened.labels.tolist(), happened.classes) == (expected, ())
