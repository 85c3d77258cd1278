"""Whether the author's feature function gives a row the same values whatever else happens.

Training calls it with thousands of rows, the server with one, tomorrow and in another process. So a value may depend
neither on the rows of the batch and their order, nor on the clock, chance, or what an earlier call left in the module.
This is tried on a sample of rows, each way in a fresh copy of the module: what no row of the sample shows stays unseen.
"""

import builtins
import datetime as real_datetime
import time as real_time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, timedelta
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import PlatformError, SpecError
from ml_platform.features.authored import FeatureFunction, call_function, compile_function
from ml_platform.features.types import INSTANT, widen

LATER = timedelta(days=400, hours=7, minutes=13, seconds=11)
RELATIVE, ABSOLUTE = 1e-6, 1e-12  # numpy may round one value alone otherwise than in a batch
ALONE_AT_MOST = 20
AGAIN, SHUFFLED, ALONE, ANOTHER_TIME = "called again", "with rows in another order", "row by row", "at another time"


def impure_columns(code: str, function: str, rows: pl.DataFrame, columns: Sequence[str]) -> dict[str, str]:
    """Return the columns whose values depend on more than their row, each with what changes them.

    Parameters
    ----------
    code, function : str
        The text of the author's module, and the name of its function.
    rows : pl.DataFrame
        What the function is given, a sample; it must not raise on them.
    columns : sequence of str
        The features; those that the function does not make are compared as well.

    Raises
    ------
    SpecError
        If the function raises on the rows, or on one of them alone.
    """
    first, shuffled = compile_function(code, function), compile_function(code, function)
    alone, later = compile_function(code, function), compile_function(code, function, importing=_import_later)
    order = np.random.default_rng(11).permutation(len(rows))
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), ALONE_AT_MOST)).astype(int))[::-1]
    expected = _features(first, rows, columns)
    seen: dict[str, str] = {}
    for reason, got, at in (
        (AGAIN, lambda: _features(first, rows, columns), np.arange(len(rows))),
        (ANOTHER_TIME, lambda: _features(later, rows, columns), np.arange(len(rows))),
        (ALONE, lambda: _one_by_one(alone, rows, columns, places), places),
        (SHUFFLED, lambda: _features(shuffled, rows[order], columns), order),
    ):
        for name in _different(expected[at], got()):
            seen.setdefault(name, reason)
    return {name: seen[name] for name in columns if name in seen}


def generate_rows(types: Mapping[str, pl.DataType], count: int = 24, seed: int = 5) -> pl.DataFrame:
    """Return made-up rows of some types: every third has nulls, the others none."""
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame([_generated(rng, name, dtype, count) for name, dtype in types.items()])
    is_whole = pl.Series(np.arange(count) % 3 != 0)
    gaps = {name: is_whole | pl.Series(rng.random(count) < 0.6) for name in types}
    return frame.with_columns(pl.when(gaps[name]).then(pl.col(name)).alias(name) for name in types)


def runnable_rows(code: str, function: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Return those of the rows on which the function does not raise, alone and together; none if there are not two."""
    attempt = compile_function(code, function)
    kept = rows.filter(pl.Series([_runs(attempt, rows[place]) for place in range(len(rows))], dtype=pl.Boolean))
    return kept if len(kept) > 1 and _runs(compile_function(code, function), kept) else rows.clear()


def _runs(function: FeatureFunction, rows: pl.DataFrame) -> bool:
    try:
        return len(call_function(function, rows)) == len(rows)
    except PlatformError:
        return False


def _features(function: FeatureFunction, rows: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    return widen(call_function(function, rows).select(columns))


def _one_by_one(
    function: FeatureFunction, rows: pl.DataFrame, columns: Sequence[str], places: NDArray[np.int_]
) -> pl.DataFrame:
    try:
        made = [_features(function, rows[int(place)], columns) for place in places]
    except PlatformError as error:
        raise SpecError.because(
            "feature function", got=f"an error for one row alone that the batch does not have ({error})",
            expected="the same for a row alone, as the server asks", hint="look at one row at a time",
        ) from error  # fmt: skip
    return pl.concat(made, how="vertical_relaxed")


def _different(expected: pl.DataFrame, got: pl.DataFrame) -> list[str]:
    if len(expected) != len(got):
        return list(expected.columns)
    return [name for name in expected.columns if not _is_same(expected[name], got[name])]


def _is_same(expected: pl.Series, got: pl.Series) -> bool:
    if expected.null_count() == got.null_count() == len(expected):
        return True  # a column without values has no type of its own
    if expected.dtype.is_float() and got.dtype.is_numeric():
        a, b = expected.to_numpy(), got.cast(pl.Float64).to_numpy()
        is_near = np.isclose(a, b, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True).all()
        return bool(is_near) and bool((expected.is_null() == got.is_null()).all())
    return expected.to_list() == got.to_list()


def _generated(rng: np.random.Generator, name: str, dtype: pl.DataType, count: int) -> pl.Series:
    if dtype == pl.Boolean:
        return pl.Series(name, rng.random(count) < 0.5)
    if dtype.is_integer():
        return pl.Series(name, rng.integers(0, 60, count), dtype=dtype)
    if dtype.is_float():
        return pl.Series(name, rng.gamma(2.0, 20.0, count), dtype=dtype)
    if dtype == pl.String:
        return pl.Series(name, rng.choice(["a", "bee", "Cat 3", "N14", "2"], count))
    if isinstance(dtype, pl.Datetime | pl.Date):
        start = real_datetime.datetime(2013, 1, 1, tzinfo=UTC)
        instants = [start + timedelta(minutes=int(minute)) for minute in rng.integers(0, 525_600, count)]
        return pl.Series(name, instants, dtype=INSTANT).dt.convert_time_zone(getattr(dtype, "time_zone", None) or "UTC")
    return pl.Series(name, [None] * count, dtype=dtype)


def _import_later(name: str, *how: Any, **more: Any) -> ModuleType:
    """Import for a module whose clock is ahead: its `datetime` and `time` tell `LATER` than it is."""
    return _AHEAD[name] if name in _AHEAD else builtins.__import__(name, *how, **more)


def _copy(module: ModuleType, **changed: Any) -> ModuleType:
    made = ModuleType(module.__name__)
    made.__dict__.update(module.__dict__ | changed)
    return made


class _AnyInstance(type):
    """So that `isinstance` asks about the real class."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])


class _Datetime(real_datetime.datetime, metaclass=_AnyInstance):
    @classmethod
    def now(cls, tz: real_datetime.tzinfo | None = None) -> Any:
        return real_datetime.datetime.now(tz) + LATER

    @classmethod
    def utcnow(cls) -> Any:
        return real_datetime.datetime.now(UTC).replace(tzinfo=None) + LATER

    @classmethod
    def today(cls) -> Any:
        return cls.now()


class _Date(real_datetime.date, metaclass=_AnyInstance):
    @classmethod
    def today(cls) -> Any:
        return (real_datetime.datetime.now() + LATER).date()  # as the author's code would ask for it


def _ahead(read: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of `time` that reads the clock, where it is not told an instant, read one ahead."""

    def ahead(*given: Any) -> Any:
        return read(*given) if given and given[-1] is not None else read(*given[:-1], _seconds())

    return ahead


def _seconds() -> float:
    return real_time.time() + LATER.total_seconds()


def _strftime(form: str, at: Any = None) -> str:
    return real_time.strftime(form, real_time.localtime(_seconds()) if at is None else at)


_AHEAD = {
    "datetime": _copy(real_datetime, datetime=_Datetime, date=_Date),
    "time": _copy(
        real_time,
        time=_seconds,
        time_ns=lambda: int(_seconds() * 1e9),
        localtime=_ahead(real_time.localtime),
        gmtime=_ahead(real_time.gmtime),
        ctime=_ahead(real_time.ctime),
        strftime=_strftime,
    ),
}
