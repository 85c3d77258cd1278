"""The lake: Delta tables under one root, cut by a string column `partition`; a write replaces whole partitions.

Readers may ask for an old version. Nothing here knows what a table means.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import polars.selectors as cs
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, DeltaTable, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from ml_platform.contracts.errors import ContractError, PartitionMissing, SchemaMismatch, examples
from ml_platform.contracts.records import TableVersion

PARTITION = "partition"
STATIC = "static"


@dataclass(frozen=True)
class Lake:
    """Versioned tables.

    Parameters
    ----------
    root : str
        A folder, or the URL of an object store that Delta can write to.
    storage_options : mapping
        Credentials and the like for an object store.
    """

    root: str
    storage_options: Mapping[str, str] = field(default_factory=dict)

    def write(self, table: str, frame: pl.DataFrame, partitions: Sequence[str]) -> TableVersion:
        """Replace exactly these partitions by the rows of `frame`, in one commit.

        Parameters
        ----------
        frame : (n_rows, n_columns)
            With a string column `partition`; may be empty, then the partitions hold no rows.

        Raises
        ------
        ContractError
            If a row belongs to a partition that is not being replaced, or to none.
        SchemaMismatch
            If a column is not what the table holds already.
        """
        is_strange = ~pl.col(PARTITION).is_in(list(partitions)).fill_null(value=False)
        strange = frame.filter(is_strange)[PARTITION].unique().sort()
        if len(strange):
            raise ContractError.because(
                f"{table}: rows outside their partition", got=examples(strange), expected=examples(partitions),
                hint="the source must give only rows whose event time lies in the window it was asked for",
            )  # fmt: skip
        content = frame.with_columns(cs.datetime("ns").dt.cast_time_unit("us")).to_arrow()  # Delta keeps microseconds
        schema = Schema.from_arrow(content.schema)
        existing = self._open(table) or self._create(table, schema)
        _refuse_change(table, _types(existing.schema()), _types(schema))
        listed = ", ".join(f"'{key}'" for key in partitions)
        write_deltalake(
            existing,
            content,
            mode="overwrite",
            partition_by=[PARTITION],
            predicate=f"{PARTITION} IN ({listed})",
            commit_properties=CommitProperties(custom_metadata={"partitions": listed}),
        )
        return TableVersion(table=table, version=self.version(table), rows=len(frame))

    def read(
        self,
        table: str,
        partitions: Sequence[str] | None = None,
        *,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Give the rows of these partitions (all, when left out); `partition` is always among the columns.

        Raises
        ------
        PartitionMissing
            If the table was never written. A partition without rows gives none.
        """
        existing = self._open(table, version)
        if existing is None:
            raise PartitionMissing.because(
                table,
                got="no such table",
                expected="at least one materialized partition",
                hint=f"materialize {table} first",
            )
        wanted = None if partitions is None else pc.field(PARTITION).isin(pa.array(partitions, pa.string()))
        chosen = None if columns is None else [*(c for c in columns if c != PARTITION), PARTITION]
        return pl.DataFrame(existing.to_pyarrow_table(filters=wanted, columns=chosen))

    def version(self, table: str) -> int:
        """Give the newest version number of a table; -1 before the first write."""
        existing = self._open(table)
        return -1 if existing is None else existing.version()

    def stamps(self, table: str) -> dict[str, str]:
        """Give, for each partition that has rows, a text that changes whenever the partition is written again."""
        existing = self._open(table)
        if existing is None:
            return {}
        files = pl.DataFrame(pa.table(existing.get_add_actions(flatten=True)))
        by = f"partition.{PARTITION}"
        return dict(files.group_by(by).agg(pl.col("path").sort().str.join(" ")).sort(by).iter_rows())

    def _create(self, table: str, schema: Schema) -> DeltaTable:
        """Make an empty table first: of two writers that made it with rows in it, one would take away the other's."""
        try:
            return DeltaTable.create(
                self._uri(table),
                schema,
                mode="ignore",
                partition_by=[PARTITION],
                storage_options=dict(self.storage_options) or None,
            )
        except CommitFailedError:
            made = self._open(table)
            if made is None:
                raise
            return made

    def _uri(self, table: str) -> str:
        return f"{self.root}/{table}"

    def _open(self, table: str, version: int | None = None) -> DeltaTable | None:
        try:
            return DeltaTable(self._uri(table), version=version, storage_options=dict(self.storage_options) or None)
        except TableNotFoundError:
            return None


def _types(schema: Schema) -> dict[str, str]:
    return {each.name: getattr(each.type, "type", str(each.type)) for each in schema.fields}


def _refuse_change(table: str, before: Mapping[str, str], now: Mapping[str, str]) -> None:
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        raise SchemaMismatch.because(
            table,
            got=examples(f"{name} {now.get(name, 'missing')}" for name in changed),
            expected=examples(f"{name} {before.get(name, 'missing')}" for name in changed),
            hint="a table keeps its columns: give the pipeline a new name, or move the table away and write it anew",
        )


def local_lake(folder: Path) -> Lake:
    """Give the lake of a local folder, making the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Lake(os.fspath(folder))
