"""Columns with too few values to be a feature: nearly empty ones, and ones that begin late or have ended."""

import polars as pl

FILLED_AT_LEAST = 0.02  # of the rows, and of each stretch that must have values
BEGINS_WITHIN = 0.5  # of the rows; a model of the earlier half would learn nothing of the column
ENDED_SHARE = 0.1  # of the rows, the newest ones
EXPECTED_AT_LEAST = 10  # values in a stretch, were they spread evenly, for their absence to mean something


def reason_of_gaps(column: pl.Series, times: pl.Series) -> str | None:
    """Return why a column has too few values to be a feature, or None.

    Parameters
    ----------
    column, times : (n_rows,)
        The values and the event times, in the order of time.
    """
    filled = column.is_not_null()
    share = filled.to_numpy().mean()
    if share < FILLED_AT_LEAST:
        return f"it is nearly empty: {share:.1%} of the rows have a value"
    rows, at = len(column), times.filter(filled)
    if _lacks(filled.head(int(BEGINS_WITHIN * rows)), share):
        return f"it begins late: hardly a value before {_day(at, 0.01)}"
    if _lacks(filled.tail(int(ENDED_SHARE * rows)), share):
        return f"it has ended: hardly a value since {_day(at, 0.99)}"
    return None


def _lacks(filled: pl.Series, share: float) -> bool:
    expected = share * len(filled)
    return expected >= EXPECTED_AT_LEAST and filled.to_numpy().sum() < FILLED_AT_LEAST * expected


def _day(times: pl.Series, quantile: float) -> str:
    return f"{times[round(quantile * (len(times) - 1))]:%Y-%m-%d}"
