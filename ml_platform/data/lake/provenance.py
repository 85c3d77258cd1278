"""Where partitions came from: from a table back to the source, by what each commit says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from ml_platform.contracts.errors import PartitionMissing, examples
from ml_platform.data.lake.history import Written
from ml_platform.data.lake.tables import Lake


@dataclass(frozen=True)
class Origin:
    """One commit, as far as some partitions came from it.

    Parameters
    ----------
    table, version
        Where.
    partitions : tuple of str
        Those that are asked about.
    rows : int
        How many they have together.
    hash : str or None
        That of the rows, of one partition.
    at : datetime
        When.
    run, code_version : str or None
        By which run and code, if the writer said so.
    sources : mapping of str to int
        Files, query or function that the commit's rows came from, with the number of rows.
    inputs : tuple of Origin
        What was read.
    """

    table: str
    version: int
    partitions: tuple[str, ...]
    rows: int
    hash: str | None
    at: datetime
    run: str | None
    code_version: str | None
    sources: Mapping[str, int]
    inputs: tuple["Origin", ...]

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object."""
        return asdict(self) | {"at": self.at.isoformat(), "inputs": [each.to_json() for each in self.inputs]}


@dataclass(frozen=True)
class Tracer:
    """Follows lineage through a lake, reading each history once."""

    lake: Lake

    def trace(self, table: str, keys: Sequence[str], version: int | None = None) -> tuple[Origin, ...]:
        """Give the commits that partitions of a table came from, as of a version.

        Raises
        ------
        PartitionMissing
            If one was never written.
        """
        written = self._written(table, version)
        if missing := [key for key in keys if key not in written]:
            raise PartitionMissing.because(
                table,
                got=f"no partition {examples(missing)}",
                expected=f"one of {examples(sorted(written, reverse=True)) or 'none yet'}",
                hint=f"materialize {table} for it",
            )
        commits: dict[int, list[str]] = {}
        for key in keys:
            commits.setdefault(written[key].version, []).append(key)
        return tuple(self._origin(table, of, [written[key] for key in of]) for of in commits.values())

    def _origin(self, table: str, keys: list[str], writes: list[Written]) -> Origin:
        first = writes[0]
        said = first.lineage
        return Origin(
            table=table,
            version=first.version,
            partitions=tuple(keys),
            rows=sum(each.rows for each in writes),
            hash=first.hash if len(keys) == 1 else None,
            at=first.at,
            run=said.get("run"),
            code_version=said.get("code_version"),
            sources=said.get("origins", {}),
            inputs=tuple(origin for each in said.get("inputs", []) for origin in self._read(keys, **each)),
        )

    def _read(self, keys: list[str], table: str, version: int, partitions: list[str] | None) -> tuple[Origin, ...]:
        """Follow an input; of one that was read for the same partitions and more, only these are followed."""
        written = self._written(table, version)
        known = [key for key in (sorted(written) if partitions is None else partitions) if key in written]
        return self.trace(table, keys if set(keys) <= set(known) else known, version)

    def _written(self, table: str, version: int | None) -> dict[str, Written]:
        if (table, version) not in self._histories:
            self._histories[table, version] = self.lake.written(table, version)
        return self._histories[table, version]

    @cached_property
    def _histories(self) -> dict[tuple[str, int | None], dict[str, Written]]:
        return {}
