"""What identifies a row: a unique column, or the fewest columns that are unique together with the time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import polars as pl

from ml_platform.contracts.errors import SpecError, examples

REPEATED_AT_MOST = 0.01  # share of rows; a delivery may hold some twice
COLUMNS_TRIED_AT_MOST = 12
KEY_TYPES = (pl.String(), pl.Int64())


@dataclass(frozen=True)
class Key:
    """The columns that identify a row, and how many rows of the sample repeat an earlier one's."""

    columns: tuple[str, ...]
    repeated: int


def is_named_like_a_key(name: str) -> bool:
    """Tell whether a column calls itself an identifier."""
    return name.lower() in ("id", "key", "uuid") or name.lower().endswith(("_id", "_key", "_uuid", " id"))


def choose_key(rows: pl.DataFrame, time: str, label: str, asked: Sequence[str]) -> Key:
    """Choose the key, or hold the author's against the sample.

    Raises
    ------
    SpecError
        If nothing identifies a row, or the author's key does not.
    """
    if asked:
        return _given(rows, time, asked)
    for columns in _candidates(rows, time, label):
        key = Key(columns, _repeated(rows, columns))
        if key.repeated <= REPEATED_AT_MOST * len(rows) and not _comes_back(rows, time, columns):
            return key
    raise _refused(
        "no column, nor two beside the time, that every row has and no two share",
        "columns that identify a row: they join a prediction to what became of it",
        "name them, --key a,b; or have the source number its rows",
    )


def _candidates(rows: pl.DataFrame, time: str, label: str) -> Iterable[tuple[str, ...]]:
    able = [name for name, dtype in rows.schema.items() if dtype in KEY_TYPES and name != label]
    able.sort(key=lambda name: not is_named_like_a_key(name))
    able = [name for name in able if not rows[name].null_count()]
    yield from ((name,) for name in able)
    for size in (1, 2):
        for others in combinations(able[:COLUMNS_TRIED_AT_MOST], size):
            yield (*others, time)


def _given(rows: pl.DataFrame, time: str, asked: Sequence[str]) -> Key:
    if empty := [name for name in asked if rows[name].null_count()]:
        raise _refused(f"rows without {examples(empty)}", "columns that every row has", "leave them out with --where")
    key = Key(tuple(asked), _repeated(rows, asked))
    if key.repeated > REPEATED_AT_MOST * len(rows):
        got = f"{key.repeated} of {len(rows)} sampled rows that repeat {', '.join(asked)}"
        raise _refused(got, f"at most {REPEATED_AT_MOST:.0%}", "name further columns")
    if _comes_back(rows, time, asked):
        raise _refused(f"the same {', '.join(asked)} on several days", "each once", f"add the time: --key ...,{time}")
    return key


def _refused(got: str, expected: str, hint: str) -> SpecError:
    return SpecError.because("--key", got=got, expected=expected, hint=hint)


def _repeated(rows: pl.DataFrame, columns: Sequence[str]) -> int:
    return len(rows) - rows.select(pl.struct(columns).n_unique()).item()


def _comes_back(rows: pl.DataFrame, time: str, columns: Sequence[str]) -> bool:
    """Tell whether rows of different days share a key: no partition alone could find them."""
    days = rows.select(*columns, pl.col(time).dt.date().alias("_day")).unique()
    return days.select(columns).is_duplicated().any()
