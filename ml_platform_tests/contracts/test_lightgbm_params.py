"""The table of LightGBM parameters is LightGBM's own, name by name and kind by kind."""

import json
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from ml_platform.contracts.lightgbm_params import SET_ELSEWHERE, LightGBMParams

PARAMS = TypeAdapter(LightGBMParams)
PROPERTIES: dict[str, dict[str, Any]] = PARAMS.json_schema()["properties"]
BOUNDS = {"minimum": 0, "maximum": 0, "exclusiveMinimum": 0.1}  # and how far inside of it a value lies


def _at_the_limits(name: str) -> list[object]:
    """Give the values of a parameter that lie just inside its bounds."""
    allowed = PROPERTIES[name]
    if "enum" in allowed:
        return list(allowed["enum"])
    if allowed["type"] == "boolean":
        return [True, False]
    return [allowed[bound] + inside for bound, inside in BOUNDS.items() if bound in allowed] or [1]


def test_what_is_set_elsewhere_is_no_parameter() -> None:
    assert not SET_ELSEWHERE.keys() & PROPERTIES.keys()


@pytest.mark.parametrize("wrong", [{"num_leaves": True}, {"num_leaves": 7.5}, {"extra_trees": 1}, {"cat_l2": "much"}])
def test_a_value_of_another_kind_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        PARAMS.validate_python(wrong)


def test_a_whole_number_is_a_number() -> None:
    assert PARAMS.validate_python({"cat_l2": 50}) == {"cat_l2": 50.0}


@pytest.mark.slow
def test_the_names_are_lightgbms() -> None:
    """Its own names, no aliases; and of what is set elsewhere, each with every alias."""
    from lightgbm.basic import _ConfigAliases

    aliases: dict[str, list[str]] = _ConfigAliases._get_all_param_aliases()
    assert PROPERTIES.keys() <= aliases.keys()
    elsewhere = [names for names in aliases.values() if SET_ELSEWHERE.keys() & set(names)]
    assert {name for names in elsewhere for name in names} == SET_ELSEWHERE.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", PROPERTIES)
def test_lightgbm_takes_the_values_at_the_limits(name: str) -> None:
    """What we accept does not fail at the fit."""
    import lightgbm as lgb

    x = np.linspace(0, 1, 100).reshape(-1, 2)
    bagging = {"bagging_freq": 1, "bagging_fraction": 0.5}  # `rf` needs it
    for value in _at_the_limits(name):
        assert PARAMS.validate_json(json.dumps({name: value})) == {name: value}
        params = {"objective": "binary", "verbosity": -1, "num_threads": 1} | bagging | {name: value}
        lgb.train({**params, "bagging_freq": 0} if value == "goss" else params, lgb.Dataset(x, x[:, 0] > 0.5), 1)
