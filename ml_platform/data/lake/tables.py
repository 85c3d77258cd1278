"""The lake: Delta tables under one root, cut by a string column `partition`; a write replaces whole partitions.

Readers may ask for an old version. Nothing here knows what a table means.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, write_deltalake
from deltalake.exceptions import CommitFailedError, TableNotFoundError

from ml_platform.contracts.errors import LakeError, PartitionMissing
from ml_platform.contracts.records import Commit, Content
from ml_platform.data.lake.content import PARTITION, content_hashes
from ml_platform.data.lake.history import Written, entry, last_writes
from ml_platform.data.lake.refusals import refuse_change, refuse_strangers, told

STATIC = "static"
KEEP_HISTORY: dict[str, str | None] = {  # for other writers too: lineage and time travel live in the log
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
}


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

    def write(
        self,
        table: str,
        frame: pl.DataFrame,
        partitions: Sequence[str],
        *,
        lineage: Mapping[str, Any] | None = None,
        evolve: bool = False,
    ) -> Commit:
        """Replace exactly these partitions by the rows of `frame`, in one commit.

        Parameters
        ----------
        frame : (n_rows, n_columns)
            With a string column `partition`; may be empty, then the partitions hold no rows.
        lineage : mapping, optional
            What the rows were made from, as JSON has it; it is kept in the commit, see `written`.
        evolve : bool
            Take new columns into the table, null in the partitions that are there, and fill with nulls those that
            `frame` does not have.

        Raises
        ------
        ContractError
            If a row belongs to a partition that is not being replaced, or to none.
        SchemaMismatch
            If a column is not what the table holds already.
        WriteConflict
            If another writer replaced one of the partitions meanwhile; its rows stay.
        WriteFailed
            If the storage did not take the rows; the table is as it was.
        """
        refuse_strangers(table, frame, partitions)
        frame = frame.with_columns(cs.datetime("ns").dt.cast_time_unit("us"))  # Delta keeps microseconds
        content = frame.to_arrow()
        schema = Schema.from_arrow(content.schema)
        hashes, counts = content_hashes(frame, partitions), rows_by_partition(frame, partitions)
        contents = {key: Content(hash=hashes[key], rows=counts[key]) for key in partitions}
        listed = ", ".join("'" + key.replace("'", "''") + "'" for key in partitions)
        with told(table):
            existing = self._open(table) or self._create(table, schema)
            refuse_change(table, _types(existing.schema()), _types(schema), evolve=evolve)
            write_deltalake(
                existing,
                content,
                mode="overwrite",
                schema_mode="merge" if evolve else None,
                partition_by=[PARTITION],
                predicate=f"{PARTITION} IN ({listed})",
                commit_properties=CommitProperties(custom_metadata=entry(contents, lineage)),
                post_commithook_properties=PostCommitHookProperties(cleanup_expired_logs=False),
            )
        return Commit(table=table, version=existing.version(), rows=len(frame), partitions=contents)

    def written(self, table: str, version: int | None = None) -> dict[str, Written]:
        """Give the last write of each partition, up to a version; none for a table that is not there."""
        return last_writes(self.commits(table, version))

    def commits(self, table: str, version: int | None = None) -> list[dict[str, Any]]:
        """Give what Delta says of each commit up to a version, newest first; none for a table that is not there."""
        existing = self._open(table)
        commits = [] if existing is None else existing.history()  # of the newest version, whichever was opened
        return [each for each in commits if version is None or each["version"] <= version]

    def tables(self) -> list[str]:
        """Name the tables, sorted.

        Raises
        ------
        LakeError
            If the lake is not on a local disk: an object store is not searched for tables.
        """
        if "://" in self.root:
            raise LakeError.because(
                "tables of a lake", got="an object store", expected="a local folder", hint="name the tables you mean"
            )
        logs = Path(self.root).glob("**/_delta_log")
        return sorted(log.parent.relative_to(self.root).as_posix() for log in logs)

    def vacuum(self, table: str, keep: timedelta, versions: Sequence[int], *, is_dry: bool) -> list[str]:
        """Remove files that no kept version needs, and give their names.

        Parameters
        ----------
        keep : timedelta
            Files that left the table within this span stay. From one day on, files that no version names go too:
            what a killed writer left behind. Below a day they could be those of a writer at work.
        versions : sequence of int
            Versions that stay readable, besides the newest.
        is_dry : bool
            Only tell.
        """
        existing = self._open(table)
        if existing is None:
            return []
        hours = int(keep.total_seconds() // 3600)
        return existing.vacuum(
            hours,
            dry_run=is_dry,
            enforce_retention_duration=False,
            full=keep >= timedelta(days=1),
            keep_versions=[*versions, existing.version()],
        )

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
        wanted = None if partitions is None else [(PARTITION, "in", list(partitions))]
        chosen = None if columns is None else [*(c for c in columns if c != PARTITION), PARTITION]
        files = existing.to_pyarrow_dataset(file_pruning_predicate=wanted)  # a partition is whole files
        return pl.DataFrame(files.to_table(columns=chosen))

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
                configuration=KEEP_HISTORY,
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


def rows_by_partition(frame: pl.DataFrame, partitions: Sequence[str]) -> dict[str, int]:
    """Count the rows of each partition, 0 where there are none."""
    counts = dict(frame.group_by(PARTITION).len().iter_rows())
    return {key: counts.get(key, 0) for key in partitions}


def local_lake(folder: Path) -> Lake:
    """Give the lake of a local folder, making the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return Lake(os.fspath(folder))
