"""From the text of a sample to types, though a few values are not what their column is: those are faults, not types.

What decides is `ml_platform.data.sources.inference`, which takes no value amiss; the few odd ones are taken out here.
"""

from collections.abc import Sequence

import polars as pl

from ml_platform.contracts.records import FieldType
from ml_platform.data.sources.inference import ISO_FORMATS, guess_time_formats, infer_types, read_times, type_of

ODD_AT_MOST = 0.02  # share of a column's values
_DIGITS_OF_A_TIME = 4


def settle_types(sample: pl.DataFrame, time_formats: Sequence[str]) -> dict[str, FieldType]:
    """Tell the type of each column of a sample, text or typed; what stands for no value is null already.

    Parameters
    ----------
    sample : (n_rows, n_columns)
        Text columns, or columns with types of their own.
    time_formats : sequence of str
        Formats of times beside ISO 8601.
    """
    return {name: _settle(sample[name], time_formats) for name in sample.columns}


def settle_time_formats(times: pl.Series, given: Sequence[str]) -> tuple[str, ...]:
    """Give the formats by which a column of text is read as times; the author's, or those that nearly all values fit.

    Raises
    ------
    ContractError
        If day and month could be either way round.
    """
    if given or times.dtype != pl.String:
        return tuple(given)
    values = times.drop_nulls()
    likely = values.filter(values.str.count_matches(r"\d") >= _DIGITS_OF_A_TIME)
    if len(likely) < (1 - ODD_AT_MOST) * len(values):
        return ()
    return guess_time_formats(likely, odd_at_most=ODD_AT_MOST)


def _settle(column: pl.Series, time_formats: Sequence[str]) -> FieldType:
    if column.dtype == pl.Date or (isinstance(column.dtype, pl.Datetime) and column.dtype.time_zone is None):
        return "timestamp"
    if column.dtype != pl.String:
        return type_of(column.name, column.dtype)
    values = column.drop_nulls()
    fitting = [
        values.filter(values.cast(pl.Float64, strict=False).is_not_null()),
        values.filter(read_times(values, (*time_formats, *ISO_FORMATS)).is_not_null()),
        values,
    ]
    even = next((each for each in fitting if len(each) and len(each) >= (1 - ODD_AT_MOST) * len(values)), values)
    return infer_types(pl.DataFrame({column.name: even}), time_formats)[column.name]
