"""A space holds what the kind of model takes, and nothing else."""

from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from ml_platform.contracts.spec import LightGBMModel, Search
from ml_platform.training.space import distributions, known_parameters, within_space, wrong_values


def _model(**space: Any) -> LightGBMModel:
    return LightGBMModel.model_validate({"kind": "lightgbm", "search": {"trials": 3, "space": space}})


def _values(**values: Any) -> Any:
    return Search.model_validate({"trials": 1, "space": {"it": values}}).space["it"]


@pytest.mark.parametrize(
    ("kind", "name"), [("lightgbm", "num_leaves"), ("xgboost", "reg_lambda"), ("linear", "l1_share")]
)
def test_each_kind_has_its_parameters(kind: str, name: str) -> None:
    assert name in known_parameters(kind)


# name, values, where it is wrong, what is said
WRONG = {
    "low under the bound": ("num_leaves", {"low": 1, "high": 31}, ("low",), "greater than or equal to 2"),
    "high over the bound": ("feature_fraction", {"low": 0.5, "high": 1.01}, ("high",), "less than or equal to 1"),
    "a fraction for a whole number": ("num_leaves", {"low": 7, "high": 31.5}, ("high",), "a valid integer"),
    "a range of words": ("boosting", {"low": 1, "high": 2}, (), "choices, as it is no number"),
    "a range of yes and no": ("extra_trees", {"low": 0, "high": 1}, (), "choices, as it is no number"),
    "a choice that is none": ("boosting", {"choices": ["gbdt", "dart"]}, ("choices", 1), "'gbdt' or 'rf'"),
    "a choice of another type": ("num_leaves", {"choices": [7, "many"]}, ("choices", 1), "a valid integer"),
    "a choice twice": ("num_leaves", {"choices": [7, 15, 7]}, ("choices",), "each value once"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_value_that_the_parameter_does_not_take_is_named(case: str) -> None:
    name, values, place, expected = WRONG[case]
    [wrong] = wrong_values("lightgbm", name, _values(**values))
    assert (wrong.place, wrong.expected) == (place, expected)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("num_leaves", {"low": 2, "high": 131_072, "log": True}),  # at both bounds
        ("feature_fraction", {"low": 0.1, "high": 1}),
        ("lambda_l1", {"low": 0, "high": 10}),
        ("extra_trees", {"choices": [True, False]}),
        ("boosting", {"choices": ["gbdt", "rf"]}),
        ("bagging_freq", {"choices": [0, 1]}),
    ],
)
def test_values_within_type_and_bounds_are_taken(name: str, values: dict[str, Any]) -> None:
    assert list(wrong_values("lightgbm", name, _values(**values))) == []


def test_whole_numbers_are_drawn_where_the_parameter_is_whole() -> None:
    """Whole bounds of a fraction still span all fractions between."""
    space = distributions(
        _model(
            num_leaves={"low": 7, "high": 63, "log": True},
            lambda_l1={"low": 0, "high": 10},
            boosting={"choices": ["gbdt", "rf"]},
        )
    )
    assert space == {
        "num_leaves": IntDistribution(7, 63, log=True),
        "lambda_l1": FloatDistribution(0.0, 10.0),
        "boosting": CategoricalDistribution(["gbdt", "rf"]),
    }


@pytest.mark.parametrize(
    ("earlier", "found"),
    [
        ({"num_leaves": 7, "boosting": "rf"}, {"num_leaves": 7, "boosting": "rf"}),
        ({"num_leaves": 63, "boosting": "rf", "lambda_l1": 1.0}, {"num_leaves": 63, "boosting": "rf"}),
        ({"num_leaves": 6, "boosting": "rf"}, None),
        ({"num_leaves": 64, "boosting": "rf"}, None),
        ({"num_leaves": 7, "boosting": "dart"}, None),
        ({"num_leaves": 7}, None),
    ],
)
def test_earlier_parameters_serve_only_if_all_lie_within_the_space(
    earlier: dict[str, Any], found: dict[str, Any] | None
) -> None:
    model = _model(num_leaves={"low": 7, "high": 63}, boosting={"choices": ["gbdt", "rf"]})
    assert within_space(model, earlier) == found
