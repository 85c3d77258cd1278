"""What each feature added to an output adds up to the output, whatever the kind of model."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Model
from ml_platform.scoring import contributions as module
from ml_platform.scoring.contributions import contributions
from ml_platform.training.fitting import fit_model
from ml_platform.training.trainer import Trained

COLUMNS = ["carrier", "distance", "hour"]
ROWS = 600
KINDS: dict[str, dict[str, Any]] = {
    "lightgbm": {"kind": "lightgbm", "params": {"num_leaves": 7, "num_threads": 1}, "rounds": 20},
    "xgboost": {"kind": "xgboost", "params": {"nthread": 1}, "rounds": 20},
    "linear": {"kind": "linear"},
}


def _rows(task: Task) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    carrier, distance = rng.choice(["ant", "bee", "cat"], ROWS), rng.uniform(0, 9, ROWS)
    score = distance / 3 + (carrier == "bee") + rng.normal(0, 0.5, ROWS)
    labels: dict[Task, Any] = {
        "binary": score > 2,
        "regression": score,
        "multiclass": np.select([score < 1.5, score < 2.5], ["low", "middle"], "high"),
    }
    features = {"carrier": carrier, "distance": distance, "hour": rng.uniform(0, 24, ROWS), "label": labels[task]}
    part = np.array(["train", "train", "train", "validation", "holdout"])[np.arange(ROWS) % 5]
    missing = pl.Series(rng.random(ROWS) < 0.1)
    return pl.DataFrame(features | {"part": part}).with_columns(
        distance=pl.when(~missing).then("distance"), day=pl.lit("2013-01-01")
    )


def _fitted(kind: str, task: Task) -> tuple[Trained, NDArray[np.float64]]:
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    rows = _rows(task)
    model = TypeAdapter[Any](Model).validate_python(KINDS[kind])
    trained = fit_model(rows, COLUMNS, model, task)
    return trained, trained.encoder.encode(rows.filter(pl.col("part") == "holdout"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_contributions_differ_as_outputs_do(kind: str, task: Task) -> None:
    """The sum of a row's contributions is its output, before the link, less one number that all rows share."""
    trained, matrix = _fitted(kind, task)
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    places, moved = found
    assert moved.shape == (len(matrix), len(COLUMNS))
    output = trained.scorer(matrix)[places]
    raw = np.log(output / (1 - output)) if task == "binary" else output
    rest = raw - moved.sum(axis=1)
    assert np.allclose(rest, rest[0], atol=1e-4)
    assert np.abs(moved).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_of_several_classes_the_said_one_is_explained(kind: str) -> None:
    """What is far raises the chance of what is said of far rows, and of near ones too: each has its own class."""
    trained, matrix = _fitted(kind, "multiclass")
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    assert found[1].shape == (len(matrix), len(COLUMNS))
    said = trained.scorer(matrix).argmax(axis=1)
    distance, moved = matrix[:, 1], found[1][:, 1]
    sure = np.isfinite(distance) & (trained.scorer(matrix).max(axis=1) > 0.8)
    assert len(set(said[sure])) > 1
    assert (moved[sure] > 0).mean() > 0.9


def test_a_large_model_explains_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly chosen, the first and the last among them, and never fewer than a few."""
    trained, matrix = _fitted("lightgbm", "binary")
    monkeypatch.setattr(module, "LEAVES_AT_MOST", 1)
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    assert len(found[0]) == len(found[1]) == module.ROWS_AT_LEAST
    assert (found[0][0], found[0][-1]) == (0, len(matrix) - 1)


def test_a_kind_that_is_no_sum_is_not_explained() -> None:
    """Such as an ensemble."""
    assert contributions(lambda _: b'{"kind": "ensemble"}', np.zeros((3, 2))) is None
