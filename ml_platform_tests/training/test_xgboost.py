"""The XGBoost trainer: seeded, on native categories, its native JSON served as it was fitted."""

import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import RegistryError, SpecError
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import XGBoostModel
from ml_platform.training.baselines import predict_baselines
from ml_platform.training.fitting import fit_model
from ml_platform.training.losses import loss_of
from ml_platform.training.trainer import Trained
from ml_platform_tests.training.rows import COLUMNS, IS_HOLDOUT, IS_VALIDATION, binary_rows, class_rows, number_rows
from ml_platform_tests.training.rows import rows_with_gaps as with_gaps

pytest.importorskip("xgboost")
PARAMS = {"max_depth": 3, "learning_rate": 0.2, "subsample": 0.7, "nthread": 1}
ROWS: dict[Task, pl.DataFrame] = {
    "binary": with_gaps(binary_rows()),
    "multiclass": with_gaps(class_rows()),
    "regression": with_gaps(number_rows()),
}


def _fit(task: Task, watch: Any = None, **changed: Any) -> Trained:
    asked: dict[str, Any] = {"params": PARAMS, "rounds": 60, "patience": 10, **changed}
    return fit_model(ROWS[task], COLUMNS, XGBoostModel(kind="xgboost", **asked), task, watch)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_same_seed_gives_the_same_model(task: Task) -> None:
    """To the byte; another seed gives another model."""
    first = _fit(task)
    assert set(first.files) == {"model.json", "model.xgboost.json"}
    assert _fit(task).files == first.files
    assert _fit(task, seed=8).files != first.files


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_what_is_served_is_what_the_library_predicts(task: Task) -> None:
    """On rows with gaps and a carrier that training had not seen, one by one and together."""
    import xgboost as xgb

    trained = _fit(task)
    matrix = trained.encoder.encode(ROWS[task].filter(IS_HOLDOUT))
    booster = xgb.Booster()
    booster.load_model(bytearray(trained.files["model.xgboost.json"]))
    expected = booster.predict(xgb.DMatrix(matrix, feature_types=["c", "q", "q", "q"], enable_categorical=True))
    np.testing.assert_array_equal(trained.scorer(matrix), expected)
    np.testing.assert_array_equal(trained.scorer(matrix[:1]), expected[:1])
    assert trained.scorer(matrix).dtype == np.float64
    assert trained.scorer(matrix).shape == ((len(matrix), 3) if task == "multiclass" else (len(matrix),))


def test_it_stops_where_the_validation_loss_is_least_and_tells_each_round() -> None:
    seen: list[tuple[int, float]] = []
    trained = _fit("binary", watch=lambda number, loss: seen.append((number, loss)))
    assert trained.rounds == int(np.argmin(trained.history)) + 1 < len(trained.history) < 60
    assert seen == list(enumerate(trained.history, start=1))
    validation = ROWS["binary"].filter(IS_VALIDATION)
    loss = loss_of(validation["label"].cast(pl.Float64).to_numpy(), trained.predict(validation), "binary")
    assert loss == pytest.approx(min(trained.history), abs=1e-6)
    assert trained.loss == min(trained.history)


def test_a_watch_may_end_the_fit() -> None:
    class Enough(Exception):
        pass

    def stop(number: int, loss: float) -> None:
        if number == 3:
            raise Enough(loss)

    with pytest.raises(Enough):
        _fit("binary", watch=stop)


def test_it_learns_and_text_is_a_category() -> None:
    """Carriers b and d in one go, which a threshold on a number cannot; noise is worth least but for the rain."""
    trained, holdout = _fit("binary"), ROWS["binary"].filter(IS_HOLDOUT)
    labels = holdout["label"].cast(pl.Float64).to_numpy()
    prior = predict_baselines(ROWS["binary"])["prior"]
    assert loss_of(labels, trained.predict(holdout), "binary") < loss_of(labels, prior, "binary") - 0.05
    assert list(trained.importance)[:1] == ["carrier"]
    assert set(trained.importance) == set(COLUMNS)


def test_a_missing_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the fit, and where a stored model is loaded."""
    trained = _fit("binary")
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(SpecError, match=r"no package xgboost.*pip install 'ml-platform\[xgboost\]'"):
        _fit("binary")
    with pytest.raises(RegistryError, match=r"no package xgboost.*pip install 'ml-platform\[xgboost\]'"):
        _ = trained.scorer
