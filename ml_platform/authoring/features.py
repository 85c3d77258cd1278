"""Which columns a model may see: every one that is no key, time, label, constant, identifier, text or leak."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ml_platform.authoring.key import is_named_like_a_key
from ml_platform.authoring.leaks import leaks
from ml_platform.contracts.errors import SpecError, examples
from ml_platform.contracts.metrics import Task

OWN_SHARE = 0.9  # of rows that have a value of their own: an identifier
VALUES_AT_MOST = 1000  # of a category; more of them are text
LETTERS_AT_MOST = 50  # of a category, on average
FEW_VALUES = 50  # so many are no sign of an identifier or of text
ANOTHER_TIME = "another time; was it known when the prediction is asked for? then derive numbers from it"


@dataclass(frozen=True)
class LeftOut:
    """A column that does not become a feature, and why."""

    column: str
    reason: str


@dataclass(frozen=True)
class Features:
    """Columns that become features, and those that do not."""

    kept: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


def choose_features(
    rows: pl.DataFrame, target: str, task: Task, time: str, spoken_for: Mapping[str, str], asked: Sequence[str]
) -> Features:
    """Choose the features among the columns of a sample.

    Parameters
    ----------
    rows : (n_rows, ...)
        The sample.
    target, time : str
        The column that is predicted, and the event time.
    spoken_for : mapping of str to str
        Columns that have another part to play, and which.
    asked : sequence of str
        Columns that the author wants; empty for all of them.

    Raises
    ------
    SpecError
        If a column that the author wants cannot be a feature, or none is left.
    """
    reasons = {name: spoken_for.get(name) or _reason_against(rows[name]) for name in asked or rows.columns}
    open_ones = [name for name, reason in reasons.items() if reason is None or reason == ANOTHER_TIME]
    for name, leak in leaks(rows, open_ones, target, task, time).items():
        reasons[name] = f"it would give the target away: {leak}"
    kept = [name for name, reason in reasons.items() if reason is None]
    left_out = [LeftOut(name, reason) for name, reason in reasons.items() if reason is not None]
    if asked and left_out:
        _refuse(left_out, "--columns", "columns that may be features", "take them out of --columns")
    if not kept:
        _refuse(left_out, "features", "at least one column to learn from", "give the files a column known at that time")
    return Features(tuple(kept), tuple(left_out))


def _reason_against(column: pl.Series) -> str | None:
    filled = column.drop_nulls()
    if filled.is_empty():
        return "it is empty"
    if column.n_unique() == 1:
        return f"it is always {filled[0]}"
    return ANOTHER_TIME if column.dtype.is_temporal() else _reason_of_values(column.name, filled)


def _reason_of_values(name: str, filled: pl.Series) -> str | None:
    distinct = filled.n_unique()
    own = distinct > FEW_VALUES and distinct >= OWN_SHARE * len(filled)
    if filled.dtype == pl.String:
        if own:
            return "an identifier: nearly every row has a value of its own"
        letters = filled.str.len_chars().sum() / max(1, len(filled))
        if distinct > VALUES_AT_MOST or (distinct > FEW_VALUES and letters > LETTERS_AT_MOST):
            return f"text: {distinct} values in the sample"
    if filled.dtype == pl.Int64 and own and (is_named_like_a_key(name) or filled.is_sorted()):
        return "an identifier: nearly every row has a value of its own"
    return None


def _refuse(left_out: Iterable[LeftOut], what: str, expected: str, hint: str) -> None:
    got = examples(f"{each.column} ({each.reason})" for each in left_out)
    raise SpecError.because(what, got=got or "no columns", expected=expected, hint=hint)
