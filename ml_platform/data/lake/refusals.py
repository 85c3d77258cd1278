"""What a write to the lake refuses, and how one that failed is told."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import polars as pl
from deltalake.exceptions import CommitFailedError, DeltaError

from ml_platform.contracts.errors import (
    ContractError,
    SchemaMismatch,
    WriteConflict,
    WriteFailed,
    examples,
)
from ml_platform.data.lake.content import PARTITION


def refuse_strangers(table: str, frame: pl.DataFrame, partitions: Sequence[str]) -> None:
    """Refuse rows that belong to a partition which is not being replaced, or to none; raises ContractError."""
    is_strange = ~pl.col(PARTITION).is_in(list(partitions)).fill_null(value=False)
    strange = frame.filter(is_strange)[PARTITION].unique().sort()
    if len(strange):
        raise ContractError.because(
            f"{table}: rows outside their partition", got=examples(strange), expected=examples(partitions),
            hint="the source must give only rows whose event time lies in the window it was asked for",
        )  # fmt: skip


def refuse_change(table: str, before: Mapping[str, str], now: Mapping[str, str], *, evolve: bool) -> None:
    """Refuse columns that are not the table's, by name and type; raises SchemaMismatch.

    Parameters
    ----------
    before, now : mapping of str to str
        Column -> Delta's name of its type, in the table and in the rows.
    evolve : bool
        Columns may come and go; none may change its type.
    """
    may_differ = before.keys() ^ now.keys() if evolve else ()
    changed = [n for n in {**before, **now} if before.get(n) != now.get(n) and n not in may_differ]
    if changed:
        raise SchemaMismatch.because(
            table,
            got=examples(f"{name} {now.get(name, 'missing')}" for name in changed),
            expected=examples(f"{name} {before.get(name, 'missing')}" for name in changed),
            hint="a column keeps its type: give the new one another name, or the pipeline"
            if evolve
            else "a table keeps its columns: give the pipeline a new name, or move the table away and write it anew",
        )


@contextmanager
def told(table: str) -> Iterator[None]:
    """Say what went wrong with a write: WriteConflict or WriteFailed. Delta commits whole or not at all."""
    try:
        yield
    except (OSError, DeltaError) as error:
        got = re.sub(r"\x1b\[\d+m|↳", "", str(error)).split("\nHelp:")[0]
        got = " ".join(got.split())
        if isinstance(error, CommitFailedError) and re.search("concurrent|since last commit", got, re.IGNORECASE):
            raise WriteConflict.because(
                table, got=f"another writer's commit ({got})", expected="one writer at a time",
                hint="the rows of the other writer stand; run again to replace them",
            ) from error  # fmt: skip
        raise WriteFailed.because(
            table, got=got, expected="room and permission to write there",
            hint="the table is as it was; free space or mend the access, then run again",
        ) from error  # fmt: skip
