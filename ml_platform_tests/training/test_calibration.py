"""Calibration: what is said happens as often as it is said, and nothing is said for certain."""

import json
from typing import Any, Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.errors import ContractError, RegistryError
from ml_platform.contracts.spec import LightGBMModel
from ml_platform.scoring.calibration import calibrate
from ml_platform.scoring.scorer import scorer_of
from ml_platform.training.calibration import calibrated, fit_calibration
from ml_platform.training.fitting import fit_model
from ml_platform.training.losses import loss_of
from ml_platform_tests.training.rows import COLUMNS, IS_HOLDOUT, IS_VALIDATION, binary_rows

Kind = Literal["isotonic", "platt"]
KINDS: tuple[Kind, ...] = ("isotonic", "platt")


def _skewed(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give labels, predictions that say too much (odds to the third power), and the chances."""
    rng = np.random.default_rng(seed)
    chance = rng.uniform(0.05, 0.95, count)
    odds = (chance / (1 - chance)) ** 3
    return (rng.random(count) < chance).astype(np.float64), odds / (1 + odds), chance


@pytest.mark.parametrize("kind", KINDS)
def test_it_takes_back_what_was_said_too_loudly(kind: Kind) -> None:
    """On rows that it was not fitted on, the loss falls to that of the chances themselves."""
    fitted = fit_calibration(kind, *_skewed(20_000)[:2])
    labels, predictions, chance = _skewed(20_000, seed=1)
    before = loss_of(labels, predictions, "binary")
    after = loss_of(labels, calibrate(predictions, fitted), "binary")
    assert after < before - 0.1
    assert after == pytest.approx(loss_of(labels, chance, "binary"), abs=0.003)


@pytest.mark.parametrize("kind", KINDS)
@given(
    values=st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30),
    asked=st.lists(st.floats(0, 1), min_size=2, max_size=5),
)
def test_order_is_kept_and_nothing_is_certain(kind: Kind, values: list[tuple[float, bool]], asked: list[float]) -> None:
    """Whatever it was fitted on, one label alone too; it goes to JSON and back."""
    predictions, labels = (np.array(each, dtype=np.float64) for each in zip(*values, strict=True))
    fitted = json.loads(json.dumps(fit_calibration(kind, labels, predictions)))
    found = calibrate(np.sort(np.array(asked)), fitted)
    assert (np.diff(found) >= 0).all()
    assert ((found > 0) & (found < 1)).all() or kind == "platt"
    assert np.isfinite(found).all()


@pytest.mark.parametrize("kind", KINDS)
def test_its_loss_is_of_rows_that_it_did_not_see(kind: Kind) -> None:
    """On labels drawn by lot the loss in the sample falls, the one that is told does not."""
    rng = np.random.default_rng(3)
    labels, predictions = (rng.random(200) < 0.5).astype(np.float64), rng.uniform(0.4, 0.6, 200)
    before = loss_of(labels, predictions, "binary")
    found = calibrated(kind, labels, predictions, before)
    assert loss_of(labels, calibrate(predictions, found.calibration), "binary") < found.loss
    assert found.note.startswith(f"Calibrated ({kind}) on the 200 validation rows, which also chose when to stop: ")
    assert f"{found.loss:.4f}" in found.note
    assert f"{before:.4f} without one" in found.note


def _fit(**changed: Any) -> Any:
    model = LightGBMModel.model_validate(
        {"kind": "lightgbm", "rounds": 40, "patience": 10, "params": {"num_leaves": 7, "num_threads": 1}, **changed}
    )
    return fit_model(binary_rows(), COLUMNS, model, "binary")


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_served_with_its_calibration(kind: Kind) -> None:
    """It stands in `model.json`; weights that skewed the probabilities are made good by it."""
    weights = {"true": 5}
    plain, skewed, made_good = _fit(), _fit(class_weights=weights), _fit(class_weights=weights, calibration=kind)
    description = json.loads(made_good.files["model.json"])
    assert description["calibration"]["kind"] == kind
    holdout = binary_rows().filter(IS_HOLDOUT)
    share = float(holdout["label"].cast(pl.Float64).to_numpy().mean())
    means = [float(each.predict(holdout).mean()) for each in (plain, skewed, made_good)]
    assert abs(means[1] - share) > 0.15
    assert abs(means[2] - share) < 0.05
    assert made_good.loss == pytest.approx(plain.loss, abs=0.03)
    raw = skewed.predict(holdout)
    np.testing.assert_allclose(made_good.predict(holdout), calibrate(raw, description["calibration"]), atol=1e-12)


def test_no_loss_is_taken_of_what_is_no_number() -> None:
    labels = binary_rows().filter(IS_VALIDATION)["label"].cast(pl.Float64).to_numpy()
    with pytest.raises(ContractError, match="got 1 not finite, expected finite numbers"):
        loss_of(labels, np.where(np.arange(len(labels)) == 3, np.nan, 0.5), "binary")


def test_an_unknown_calibration_is_refused_when_it_is_loaded() -> None:
    """Not in the first request."""
    linear: dict[str, Any] = {"kind": "linear", "link": "logit", "intercepts": [0.0], "columns": []}
    assert scorer_of(linear, {}.__getitem__)(np.empty((2, 0))).tolist() == [0.5, 0.5]
    with pytest.raises(RegistryError, match="calibration: got kind beta, expected isotonic or platt"):
        scorer_of(linear | {"calibration": {"kind": "beta"}}, {}.__getitem__)
