"""Features that the event time gives: the hour and the weekday, where the sample's times have them."""

from collections.abc import Collection

import polars as pl

from ml_platform.authoring.target import quoted

_PARTS = {"hour": "hour", "weekday": "isodow"}


def clock_features(times: pl.Series, taken: Collection[str]) -> dict[str, str]:
    """Give an SQL expression for each part of the clock that differs between rows.

    Parameters
    ----------
    times : (n_rows,)
        Event times.
    taken : collection of str
        Names that other features have.
    """
    parts = {"hour": times.dt.hour().n_unique(), "weekday": times.dt.weekday().n_unique()}
    used = {each.lower() for each in taken}  # a table tells no capital letters from small ones
    return {
        name if name not in used else f"{times.name}_{name}": f"extract({_PARTS[name]} from {quoted(times.name)})"
        for name, distinct in parts.items()
        if distinct > 1
    }
