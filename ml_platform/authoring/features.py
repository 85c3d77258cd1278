"""Which columns a model may see: every one that is no key, time, label, constant, identifier, text or leak."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from ml_platform.authoring.gaps import reason_of_gaps
from ml_platform.authoring.key import is_named_like_a_key
from ml_platform.authoring.leaks import equations, leaks
from ml_platform.contracts.errors import SpecError, examples
from ml_platform.contracts.metrics import Task
from ml_platform.data.splits.arithmetic import ArithmeticLeak

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
    """Columns that become features, those that do not, and features that an author should look at.

    `doubtful` features make a column of the target, though that does not tell the target by itself.
    """

    kept: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    doubtful: tuple[LeftOut, ...] = ()


def choose_features(
    rows: pl.DataFrame,
    target: str,
    task: Task,
    time: str,
    spoken_for: Mapping[str, str],
    asked: Sequence[str],
    made_of: Sequence[str] = (),
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
    made_of : sequence of str
        Columns that a derived target is made of.

    Raises
    ------
    SpecError
        If a column that the author wants cannot be a feature, or none is left.
    """
    ordered = rows.sort(time, maintain_order=True)
    reasons = {
        name: spoken_for.get(name) or _reason_against(rows[name]) or reason_of_gaps(ordered[name], ordered[time])
        for name in asked or rows.columns
    }
    open_ones = [name for name, reason in reasons.items() if reason is None or reason == ANOTHER_TIME]
    for name, leak in leaks(rows, open_ones, target, task, time).items():
        reasons[name] = f"it would give the target away: {leak}"
    open_ones = [name for name in open_ones if reasons[name] is None]
    found = equations(rows, open_ones, target, task, time, made_of)
    for leak in reversed(found):  # that of the most telling column comes last, and stays
        if leak.is_certain:
            reasons |= dict.fromkeys(leak.features, f"it would give the target away: {leak.equation}")
    doubtful = _doubtful([leak for leak in found if not leak.is_certain], reasons)
    kept = [name for name, reason in reasons.items() if reason is None]
    left_out = [LeftOut(name, reason) for name, reason in reasons.items() if reason is not None]
    if asked and left_out:
        _refuse(left_out, "--columns", "columns that may be features", "take them out of --columns")
    if not kept:
        _refuse(left_out, "features", "at least one column to learn from", "give the files a column known at that time")
    return Features(tuple(kept), tuple(left_out), doubtful)


def _doubtful(leaks: Sequence[ArithmeticLeak], reasons: Mapping[str, str | None]) -> tuple[LeftOut, ...]:
    return tuple(
        LeftOut(name, f"{leak.equation}, of which the target is made: take it out if it is not known when asked")
        for leak in leaks
        for name in leak.features
        if reasons[name] is None
    )


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
