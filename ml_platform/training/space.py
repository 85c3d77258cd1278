"""The space of a search: which values of which parameters, held against what the kind of model takes.

A pipeline is checked with it when definitions load, so Optuna is imported only by what needs it.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from ml_platform.contracts.lightgbm_params import LightGBMParams
from ml_platform.contracts.linear_params import LinearParams
from ml_platform.contracts.spec import Choices, Model, Range
from ml_platform.contracts.xgboost_params import XGBoostParams

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

PARAMS: Mapping[str, type] = {"lightgbm": LightGBMParams, "xgboost": XGBoostParams, "linear": LinearParams}


class Wrong(NamedTuple):
    """A part of a space that cannot be: where below the parameter's name, what stands there, and what should."""

    place: tuple[str | int, ...]
    got: object
    expected: str
    hint: str


def known_parameters(kind: str) -> list[str]:
    """Name the parameters that a kind of model takes."""
    return list(_properties(kind))


def wrong_values(kind: str, name: str, values: Range | Choices) -> Iterator[Wrong]:
    """Hold the values of one known parameter against its type and bounds."""
    if isinstance(values, Choices):
        for place, value in enumerate(values.choices):
            if (expected := _refused(kind, name, value)) is not None:
                yield Wrong(("choices", place), repr(value), expected, f"mend {name}")
        if twice := [value for place, value in enumerate(values.choices) if _same(value, values.choices[:place])]:
            yield Wrong(("choices",), f"{twice[0]!r} twice", "each value once", "take one out")
    elif _properties(kind)[name].get("type") not in ("integer", "number"):
        yield Wrong((), "a range", "choices, as it is no number", "for instance {choices: [...]}")
    else:
        for end in ("low", "high"):
            value = getattr(values, end)
            if (expected := _refused(kind, name, value)) is not None:
                yield Wrong((end,), value, expected, f"mend {end}")


def distributions(model: Model) -> dict[str, "BaseDistribution"]:
    """Give the space of a searched model as Optuna draws from it."""
    space = model.search.space if model.search else {}
    return {name: _distribution(model.kind, name, values) for name, values in space.items()}


def within_space(model: Model, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """Give those of earlier best parameters that the space asks for; None unless all are there and lie within it."""
    space = distributions(model)
    found = {name: params[name] for name in space if name in params and _holds(space[name], params[name])}
    return found if found.keys() == space.keys() else None


def _distribution(kind: str, name: str, values: Range | Choices) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(values, Choices):
        return CategoricalDistribution(values.choices)
    if _properties(kind)[name]["type"] == "integer":
        return IntDistribution(int(values.low), int(values.high), log=values.log)
    return FloatDistribution(float(values.low), float(values.high), log=values.log)


def _holds(distribution: "BaseDistribution", value: Any) -> bool:
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return _same(value, choices)
    low, high = getattr(distribution, "low", value), getattr(distribution, "high", value)
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _same(value: Any, values: Any) -> bool:
    """Tell whether a value is among others; true is not 1 here."""
    return any(type(value) is type(each) and value == each for each in values)


def _refused(kind: str, name: str, value: object) -> str | None:
    """Say what the parameter expects, if it is not this value."""
    try:
        _adapter(kind).validate_python({name: value})
    except ValidationError as error:
        return error.errors(include_url=False)[0]["msg"].removeprefix("Input should be ")
    return None


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    return TypeAdapter(PARAMS[kind])


@cache
def _properties(kind: str) -> dict[str, Any]:
    return _adapter(kind).json_schema()["properties"]
