"""A fit that stops at once, or that another seed would have changed, warns; an honest one does not."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.spec import LightGBMModel, LinearModel, XGBoostModel
from ml_platform.training.fitting import fit_model
from ml_platform.training.stability import depends_on_seed, twin_of, with_warnings
from ml_platform_tests.training.rows import COLUMNS, binary_rows

SMALL: dict[str, Any] = {"num_leaves": 7, "min_data_in_leaf": 10, "num_threads": 1}


def _model(**params: Any) -> LightGBMModel:
    return LightGBMModel.model_validate({"kind": "lightgbm", "params": SMALL | params, "rounds": 80, "patience": 10})


@pytest.mark.parametrize(
    ("params", "does"),
    [
        ({}, False), ({"feature_fraction": 0.5}, True), ({"feature_fraction": 1.0}, False),
        ({"bagging_fraction": 0.5}, False), ({"bagging_fraction": 0.5, "bagging_freq": 1}, True),
        ({"extra_trees": True}, True),
    ],
)  # fmt: skip
def test_only_recipes_that_draw_at_random_depend_on_their_seed(params: dict[str, Any], does: bool) -> None:
    """And what is said not to depend on it gives the same trees with another seed."""
    model = _model(**params)
    assert depends_on_seed(model) == does
    if not does:
        first, second = (fit_model(binary_rows(), COLUMNS, each, "binary") for each in (model, twin_of(model)))
        np.testing.assert_array_equal(first.predict(binary_rows()), second.predict(binary_rows()))


def test_other_kinds() -> None:
    assert not depends_on_seed(LinearModel.model_validate({"kind": "linear"}))
    assert depends_on_seed(XGBoostModel.model_validate({"kind": "xgboost", "params": {"subsample": 0.5}}))
    assert not depends_on_seed(XGBoostModel.model_validate({"kind": "xgboost"}))


def test_a_fit_of_noise_stops_in_its_first_rounds_and_says_so() -> None:
    rng = np.random.default_rng(3)
    rows = binary_rows()
    noise = rows.with_columns(pl.Series("label", rng.random(len(rows)) < 0.5))
    model = _model(learning_rate=0.5, num_leaves=31)
    warnings = with_warnings(fit_model(noise, COLUMNS, model, "binary"), model, None, None).warnings
    assert any("stopped in its first" in each for each in warnings)
    assert with_warnings(fit_model(rows, COLUMNS, _model(), "binary"), _model(), None, None).warnings == ()


@pytest.mark.parametrize(("margin", "warns"), [(0.0, True), (1.0, False)])
def test_seed_twins_further_apart_than_the_margin_warn(margin: float, warns: bool) -> None:
    model = _model(feature_fraction=0.5, bagging_fraction=0.5, bagging_freq=1)
    first, twin = (fit_model(binary_rows(), COLUMNS, each, "binary") for each in (model, twin_of(model)))
    assert first.loss != twin.loss
    warnings = with_warnings(first, model, twin, margin).warnings
    assert bool(warnings) == warns
    assert not warns or "Another seed gives another model" in warnings[0]
