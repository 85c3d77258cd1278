"""Exact sums: numbers as whole multiples of one power of two.

A window is a difference of two running totals. In floating point such a difference would carry the rounding of all
that was ever added; here it is exact, and rounded once when it becomes a float again. So no sum depends on the order of
the rows, nor on how many of them were read.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
# int64, or Python's own integers in an array of objects, where int64 would not do
IntArray = NDArray[Any]

_MANTISSA = 53
_UNITS = 2.0**_MANTISSA
_ROOM = 2.0**62
_FLOAT_EXACT = 2**_MANTISSA


@dataclass(frozen=True)
class Whole:
    """Numbers `units * 2**exponent`, `exponent` at most 0."""

    units: IntArray
    exponent: int

    def squared(self) -> "Whole":
        """Give the squares."""
        units = self.units
        if units.dtype != object and _would_overflow(units.astype(np.float64) ** 2):
            units = units.astype(object)
        return Whole(units * units, 2 * self.exponent)


def to_whole(values: IntArray | FloatArray) -> Whole:
    """Write finite numbers as whole multiples of one power of two, without changing any."""
    if values.dtype.kind != "f":
        return Whole(values.astype(object if _would_overflow(values.astype(np.float64)) else np.int64), 0)
    if (values == np.trunc(values)).all() and not _would_overflow(values):
        return Whole(values.astype(np.int64), 0)
    mantissa, power = np.frexp(values)
    units = (mantissa * _UNITS).astype(np.int64).astype(object)
    exponent = min(0, int(power[mantissa != 0].min()) - _MANTISSA)
    shift = np.where(mantissa == 0, 0, power - _MANTISSA - exponent)
    return Whole(units << shift.astype(object), exponent)


def running_total(units: IntArray) -> IntArray:
    """Give the totals of the first 0, 1, 2, ... numbers."""
    return np.concatenate([np.zeros(1, dtype=units.dtype), np.cumsum(units, dtype=units.dtype)])


def divide(numerator: IntArray, denominator: IntArray, exponent: int = 0) -> FloatArray:
    """Give `numerator * 2**exponent / denominator`, rounded once; NaN where the denominator is 0."""
    is_plain = numerator.dtype != object and denominator.dtype != object and exponent == 0
    if is_plain and _is_below(numerator, _FLOAT_EXACT) and _is_below(denominator, _FLOAT_EXACT):
        out = np.full(len(numerator), np.nan)
        return np.divide(numerator, denominator, out=out, where=denominator != 0)
    scaled = denominator.astype(object) << -exponent
    return np.asarray(_divide_one(numerator.astype(object), scaled), dtype=np.float64)


def _one_quotient(numerator: int, denominator: int) -> float:
    try:
        return numerator / denominator if denominator else np.nan
    except OverflowError:
        return np.inf if numerator > 0 else -np.inf


_divide_one = np.frompyfunc(_one_quotient, 2, 1)


def _would_overflow(values: FloatArray) -> bool:
    return float(np.abs(values).max(initial=0)) * len(values) >= _ROOM


def _is_below(values: IntArray, bound: int) -> bool:
    return not len(values) or int(np.abs(values).max()) < bound
