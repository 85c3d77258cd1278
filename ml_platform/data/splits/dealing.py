"""Dealing rows to the parts where time does not part them: whole groups, or so that each part has the label's shares.

What decides is a hash of the value itself: the same on every machine and in every process, whatever order rows come in.
"""

from collections.abc import Sequence
from itertools import accumulate

import pandas as pd
import polars as pl

from ml_platform.contracts.spec import Split
from ml_platform.data.splits.parts import LABEL, PART, PARTS

STRATA_AT_MOST = 10
_SEPARATOR, _NULL = "\x1f", "\x00"  # neither stands in a value that anybody writes


def deal(rows: pl.DataFrame, split: Split, key: Sequence[str]) -> pl.DataFrame:
    """Set `part` anew, in proportion to the lengths of the parts.

    Parameters
    ----------
    rows : (n_rows, ...)
        Labelled rows, with key, `label`, `part` and the column `split.by` of a grouped split.

    Returns
    -------
    (n_rows, ...)
        The rows, in an order of their own.
    """
    if split.by is not None:
        return _deal_groups(rows, split.by, split)
    return _deal_strata(rows, split, key)


def stable_hash(rows: pl.DataFrame, columns: Sequence[str]) -> pl.Series:
    """Hash some columns of each row to 64 bits; nulls are one value.

    Notes
    -----
    SipHash with a fixed key over the values as text, as `pandas.util.hash_array` gives it.
    """
    text = pl.concat_str([pl.col(name).cast(pl.String).fill_null(_NULL) for name in columns], separator=_SEPARATOR)
    values = rows.select(text).to_series().to_numpy()
    return pl.Series(pd.util.hash_array(values.astype(object), categorize=False), dtype=pl.UInt64)


def _deal_groups(rows: pl.DataFrame, by: str, split: Split) -> pl.DataFrame:
    """Deal by the hash alone, so that a group stays in its part from one as-of to the next."""
    hashed = stable_hash(rows, [by])
    *ends, total = accumulate(getattr(split, part).days for part in PARTS)
    limits = [pl.lit(2**64 * end // total, pl.UInt64) for end in ends]
    return rows.with_columns(_part(hashed, limits))


def _deal_strata(rows: pl.DataFrame, split: Split, key: Sequence[str]) -> pl.DataFrame:
    """Deal each stratum in the order of its hashes, cut where the parts' lengths say, rounded to a row."""
    mixed = rows.with_columns(stable_hash(rows, key).alias("__hash")).sort("__hash", *key).drop("__hash")
    *ends, total = accumulate(getattr(split, part).days for part in PARTS)
    stratum = _stratum(mixed)
    count = pl.len().over(stratum)
    place = pl.int_range(pl.len()).over(stratum)
    return mixed.with_columns(_part(place, [(2 * count * end + total) // (2 * total) for end in ends]))


def _stratum(rows: pl.DataFrame) -> pl.Expr:
    """Give the label itself where it is a word or has few values, else the tenth of the rows that its value lies in."""
    if rows.schema[LABEL] == pl.String or rows[LABEL].n_unique() <= STRATA_AT_MOST:
        return pl.col(LABEL)
    return (pl.col(LABEL).rank("min") - 1).cast(pl.Int64) * STRATA_AT_MOST // max(len(rows), 1)


def _part(value: pl.Expr | pl.Series, limits: Sequence[pl.Expr]) -> pl.Expr:
    place = value if isinstance(value, pl.Expr) else pl.lit(value)
    parts = pl.when(place < limits[0]).then(pl.lit(PARTS[0])).when(place < limits[1]).then(pl.lit(PARTS[1]))
    return parts.otherwise(pl.lit(PARTS[2])).alias(PART)
