"""Windows row by row, in plain Python and exact fractions: slow, and close to the words of the spec."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from ml_platform.features.window_plan import HistoryPlan, WindowPlan

Row = Mapping[str, Any]
LONG_AGO = datetime.min.replace(tzinfo=None)


def windows_of(
    plan: HistoryPlan, asked: Row, history: Sequence[Row], where: Mapping[str, Callable[[Row], bool]]
) -> Row:
    """Give every window of one row, `where` as a Python function for each condition."""
    return {window.name: _window_of(plan, window, asked, history, where) for window in plan.windows}


def _window_of(
    plan: HistoryPlan,
    window: WindowPlan,
    asked: Row,
    history: Sequence[Row],
    where: Mapping[str, Callable[[Row], bool]],
) -> object:
    at = asked[plan.event_time]
    if at is None or any(asked[name] is None for name in window.by):
        return None
    rows = [row for row in history if all(row[name] == asked[name] for name in window.by)]
    rows = [row for row in rows if _is_seen(plan, window, row, history, at)]
    rows = [row for row in rows if window.where is None or where[window.where](row)]
    rows = [row for row in rows if window.of is None or _is_value(row[window.of])]
    rows = sorted(rows, key=lambda row: _age(plan, row))
    if window.rows is not None:
        rows = rows[-window.rows :]
    return _aggregate(window.how, [None if window.of is None else row[window.of] for row in rows])


def _is_seen(plan: HistoryPlan, window: WindowPlan, row: Row, history: Sequence[Row], at: datetime) -> bool:
    happened = row[plan.event_time]
    if happened is None or not at - window.reach < happened < at:
        return False
    versions = _versions(plan, row, history)
    place = next(place for place, version in enumerate(versions) if version is row)
    later = versions[place + 1 :]
    if any(known_at(plan, version) is None or known_at(plan, version) <= at for version in later):
        return False
    known = known_at(plan, row)
    if window.awaits_label or place:
        return known is not None and known <= at
    return True


def _versions(plan: HistoryPlan, row: Row, history: Sequence[Row]) -> list[Row]:
    if not plan.corrected:
        return [row]
    of_key = [each for each in history if all(each[name] == row[name] for name in plan.key)]
    of_key = [each for each in of_key if each[plan.event_time] is not None]
    return sorted(of_key, key=lambda each: (_order(known_at(plan, each)), *_content(plan, each)))


def known_at(plan: HistoryPlan, row: Row) -> Any:
    """Give the instant at which a row's label became known."""
    return row[plan.event_time] + (plan.known_after or timedelta()) if plan.known_at is None else row[plan.known_at]


def _age(plan: HistoryPlan, row: Row) -> tuple[object, ...]:
    key = [_order(row[name]) for name in plan.key]
    return (row[plan.event_time], *key, _order(known_at(plan, row)), *_content(plan, row))


def _content(plan: HistoryPlan, row: Row) -> list[object]:
    return [_order(row[name]) for name in plan.columns]


def _order(value: Any) -> tuple[bool, bool, Any]:
    """Sort nulls first and NaN last."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return value is not None, is_nan, 0 if value is None or is_nan else value


def _is_value(value: object) -> bool:
    return value is not None and (not isinstance(value, float) or math.isfinite(value))


def _aggregate(how: str, values: list[Any]) -> object:
    if how == "count":
        return len(values)
    if how == "sum":
        return float(sum(map(Fraction, values)))
    if not values:
        return None
    if how in ("min", "max", "last"):
        return {"min": min, "max": max, "last": lambda each: each[-1]}[how](values)
    mean = sum(map(Fraction, values)) / Fraction(len(values))
    if how != "std":
        return float(mean)
    if len(values) < 2:
        return None
    spread = sum(((Fraction(value) - mean) ** 2 for value in values), start=Fraction(0))
    return math.sqrt(spread / (len(values) - 1))
