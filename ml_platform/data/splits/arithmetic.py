"""Leaks by arithmetic: features that, with a few other columns, make the target or a column that it is made of.

`total` tells a tip as well as the tip itself does, once the fare is known or can be guessed. Here it is said which
columns are looked at, what an equation between them means, and which feature must go.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from ml_platform.contracts.metrics import Task
from ml_platform.data.splits.equation_search import ORDER_AT_LEAST, find_equation, ordered_with
from ml_platform.data.splits.equations import Column, Equation

EQUATIONS_AT_MOST = 5  # that are looked for of one column, each without the features of those before
UNKNOWN_AT_MOST = 2  # columns of an equation that nobody knows when asked, for it to be a leak beyond doubt
TELLING_AT_LEAST: Mapping[Task, float] = {"binary": 0.7, "multiclass": 0.7, "regression": 0.5}

Strengths = Callable[[Sequence[str]], Mapping[str, float | None]]


@dataclass(frozen=True)
class Roles:
    """What the columns of some rows are for the target.

    Parameters
    ----------
    features : sequence of str
        What a model sees.
    label : str or None
        The target itself, if it is a number.
    sources : sequence of str
        What the target is made of; not known when a prediction is asked for, as far as the spec says.
    late : sequence of str
        What the spec says becomes known with the target.
    inputs : sequence of str
        What a request carries and no model sees.
    shown : mapping of str to str
        Names under which users know columns, where these are others.
    """

    features: Sequence[str]
    label: str | None
    sources: Sequence[str] = ()
    late: Sequence[str] = ()
    inputs: Sequence[str] = ()
    shown: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def targets(self) -> list[str]:
        """The columns that no feature may make."""
        return [*([] if self.label is None else [self.label]), *self.sources, *self.late]

    def name(self, column: str) -> str:
        """Return a column's name as users know it."""
        return self.shown.get(column, column)


@dataclass(frozen=True)
class ArithmeticLeak:
    """An equation by which features make a column of the target.

    Parameters
    ----------
    target : str
        The column that is made.
    unknown : tuple of str
        All columns of the equation that are not known when a prediction is asked for.
    features : tuple of str
        Without which nothing of the equation is left.
    columns : frozenset of str
        All columns of the equation.
    equation : str
        As people read it.
    is_certain : bool
        Whether it gives the target away; else it only may.
    """

    target: str
    unknown: tuple[str, ...]
    features: tuple[str, ...]
    columns: frozenset[str]
    equation: str
    is_certain: bool


def arithmetic_leaks(rows: pl.DataFrame, roles: Roles, task: Task, strengths: Strengths) -> list[ArithmeticLeak]:
    """Find the equations by which features make the target or what it is made of.

    An equation is a leak beyond doubt if it makes the target itself, a column that becomes known with it, or the only
    column that it is made of; or one of several that alone tells the target well (a tip does, a fare does not), or all
    of them. With more than two columns that nobody knows it may be honest: a schedule is the actual time minus the
    delay.

    Parameters
    ----------
    rows : (n_rows, ...)
        In an order that does not depend on how they were read; every column of the roles that is a number is looked at.
    strengths : function
        Measures how well each of some columns alone tells the target, as `telling.strengths` does.

    Returns
    -------
    list of ArithmeticLeak
        One for each set of columns, solved for the one that tells the target best; those of the best first.
    """
    numeric = {name: Column.of(_numbers(rows[name])) for name in _looked_at(rows, roles)}
    leaks = [leak for target in roles.targets if target in numeric for leak in _leaks_of(target, numeric, roles)]
    if not leaks:
        return []
    alone = strengths([name for name in roles.sources if name in rows.columns])
    telling = {name for name, strength in alone.items() if strength is not None and strength >= TELLING_AT_LEAST[task]}
    made = {leak.target for leak in leaks if leak.unknown == (leak.target,)}
    telling |= {*roles.late, *([] if roles.label is None else [roles.label])}
    if made >= {*roles.sources}:
        telling |= made
    leaks.sort(key=lambda leak: -(alone.get(leak.target) or 0.0) if leak.target in roles.sources else -1.0)
    distinct = {leak.columns: leak for leak in reversed(leaks)}
    return [replace(leak, is_certain=_is_certain(leak, telling, roles)) for leak in reversed(distinct.values())]


def _is_certain(leak: ArithmeticLeak, telling: set[str], roles: Roles) -> bool:
    if len(leak.unknown) > UNKNOWN_AT_MOST:
        return False
    holds_all = bool(roles.sources) and {*leak.unknown} >= {*roles.sources}
    return holds_all or not telling.isdisjoint(leak.unknown)


def _looked_at(rows: pl.DataFrame, roles: Roles) -> list[str]:
    names = dict.fromkeys([*roles.features, *roles.inputs, *roles.targets])
    return [name for name in names if name in rows.columns and _is_number(rows.schema[name])]


def _leaks_of(target: str, numeric: Mapping[str, Column], roles: Roles) -> Iterator[ArithmeticLeak]:
    """Yield the equations of one column, each without the features that the ones before gave up.

    What alone follows the label is found by `telling.strengths`, and takes no part in an equation of it.
    """
    others = {name: column for name, column in numeric.items() if name not in (target, roles.label)}
    if target == roles.label:
        order = ordered_with(numeric[target], {name: others[name] for name in roles.features if name in others})
        others = {name: each for name, each in others.items() if abs(order.get(name, 0.0)) <= ORDER_AT_LEAST}
    features = [name for name in roles.features if name in others]
    for _ in range(EQUATIONS_AT_MOST):
        equation = find_equation(numeric[target], others, features)
        if equation is None:
            break
        given_up = _given_up(numeric[target], others, equation, features)
        unknown = tuple(name for name in equation.columns if name in roles.targets)
        text = f"{roles.name(target)} = {_shown(equation, roles).right_side}"
        columns = frozenset((target, *equation.columns))
        yield ArithmeticLeak(target, (target, *unknown), given_up, columns, text, is_certain=False)
        others = {name: column for name, column in others.items() if name not in given_up}
        features = [name for name in features if name in others]
    if target != roles.label:
        yield from _followers(target, numeric[target], {name: others[name] for name in features}, roles)


def _followers(target: str, column: Column, features: Mapping[str, Column], roles: Roles) -> Iterator[ArithmeticLeak]:
    """Yield the features that are a function of a column, by the order of their values."""
    for name, order in ordered_with(column, features).items():
        if abs(order) > ORDER_AT_LEAST:
            text = f"{roles.name(target)} {'rises' if order > 0 else 'falls'} with {roles.name(name)}"
            yield ArithmeticLeak(target, (target,), (name,), frozenset((target, name)), text, is_certain=False)


def _given_up(
    target: Column, columns: Mapping[str, Column], equation: Equation, features: Sequence[str]
) -> tuple[str, ...]:
    """Return the features that must go: each summand and factor; of a difference or ratio the one most like the target.

    A summand of a count tells of it also when the others are gone; of `total - fare` only the total holds the tip.
    """
    signs = {name: coefficient > 0 for coefficient, name in equation.terms if name in features}
    if equation.kind == "product" or (equation.kind == "linear" and len({*signs.values()}) == 1):
        return tuple(signs)
    order = ordered_with(target, {name: columns[name] for name in signs})
    return (max(order, key=lambda name: abs(order[name])),)


def _shown(equation: Equation, roles: Roles) -> Equation:
    return replace(equation, terms=tuple((number, roles.name(name)) for number, name in equation.terms))


def _numbers(column: pl.Series) -> np.ndarray:
    values = column.cast(pl.Float64).to_numpy(allow_copy=True)
    return np.where(np.isfinite(values), values, np.nan)


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean
