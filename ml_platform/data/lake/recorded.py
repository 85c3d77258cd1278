"""The lake as one computation sees it: each table at one version, and every write says what was read before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from ml_platform.contracts.records import Commit
from ml_platform.data.lake.history import Written
from ml_platform.data.lake.tables import Lake


@dataclass
class _Read:
    version: int
    partitions: set[str] | None  # None: all of them


@dataclass(frozen=True)
class RecordedLake(Lake):
    """A lake that remembers.

    Parameters
    ----------
    said : mapping
        What every write adds to its lineage: the run, the code, the spec.
    pins : mapping of str to int
        The version at which a table is seen, where that is not to be the newest.
    """

    said: Mapping[str, Any] = field(default_factory=dict)
    pins: Mapping[str, int] = field(default_factory=dict)
    _reads: dict[str, _Read] = field(default_factory=dict)

    def read(
        self,
        table: str,
        partitions: Sequence[str] | None = None,
        *,
        columns: Sequence[str] | None = None,
        version: int | None = None,
    ) -> pl.DataFrame:
        """Read as `Lake` does; a table that was read before is read at the same version again."""
        before = self._reads.get(table)
        if version is None:
            version = before.version if before else max(self.version(table), 0)
        rows = super().read(table, partitions, columns=columns, version=version)
        keys = None if partitions is None else set(partitions)
        if before is not None and before.version == version:
            keys = None if keys is None or before.partitions is None else keys | before.partitions
        self._reads[table] = _Read(version, keys)
        return rows

    def write(
        self,
        table: str,
        frame: pl.DataFrame,
        partitions: Sequence[str],
        *,
        lineage: Mapping[str, Any] | None = None,
        evolve: bool = False,
    ) -> Commit:
        """Write as `Lake` does, the lineage completed by what was read; the table is read anew afterwards."""
        whole = {**self.said, "inputs": self.inputs(), **(lineage or {})}
        commit = super().write(table, frame, partitions, lineage=whole, evolve=evolve)
        self._reads.pop(table, None)
        return commit

    def written(self, table: str, version: int | None = None) -> dict[str, Written]:
        """Tell as `Lake` does; of a table that was read, as it was then."""
        before = self._reads.get(table)
        seen = before.version if before else self.pins.get(table)
        return super().written(table, seen if version is None else version)

    def version(self, table: str) -> int:
        """Give the version at which a table is seen: its pin, or the newest."""
        pin = self.pins.get(table)
        return super().version(table) if pin is None else pin

    def inputs(self) -> list[dict[str, Any]]:
        """Name what was read so far: tables, versions and partitions (null for all), in JSON."""
        return [
            {"table": table, "version": each.version, "partitions": each.partitions and sorted(each.partitions)}
            for table, each in sorted(self._reads.items())
        ]


def recorded(lake: Lake, said: Mapping[str, Any], pins: Mapping[str, int] | None = None) -> RecordedLake:
    """Give a lake that remembers, over the same tables, some of them at versions of the past."""
    return RecordedLake(lake.root, lake.storage_options, said, pins or {})
