"""Which partitions are stale: made from inputs that hold other rows by now, as the lake's own commits say.

A commit says at which version each input was read, and an input's commits say what each of its partitions held at
that version. So logs are compared and no rows are read. Which partitions an input consists of is the caller's to say.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ml_platform.contracts.errors import examples
from ml_platform.data.lake.history import Written, all_writes
from ml_platform.data.lake.tables import Lake

Inputs = Mapping[str, Sequence[str]]  # table -> the partitions of it that are read
NEVER_MADE, UNKNOWN_ORIGIN = "never materialized", "its commit does not say what it was made from"


@dataclass(frozen=True)
class StalePartition:
    """A partition that does not follow from what its inputs hold now, and why.

    Parameters
    ----------
    stage : str
        Last part of the table's name.
    reasons : tuple of str
        At least one; inputs are named like `validated[2020-01-05] changed`.
    """

    stage: str
    partition: str
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        """Return the partition with its first reason."""
        more = f" and {len(self.reasons) - 1} more" if len(self.reasons) > 1 else ""
        return f"{self.stage}[{self.partition}] ({next(iter(self.reasons))}{more})"


@dataclass(frozen=True)
class Freshness:
    """Compares partitions with their inputs, reading each table's history once.

    Parameters
    ----------
    versions : mapping of str to int
        The version that counts as now, of tables where that is not the newest.
    """

    lake: Lake
    versions: Mapping[str, int] = field(default_factory=dict[str, int])
    _writes: dict[str, dict[str, list[Written]]] = field(default_factory=dict[str, dict[str, list[Written]]])

    def now(self, table: str, partition: str) -> Written | None:
        """Return the write that made what a partition holds now; None if there is none."""
        return self._at(table, partition, self.versions.get(table))

    def partitions(self, table: str) -> list[str]:
        """Return the partitions of a table that were ever written, sorted."""
        return sorted(self._history(table))

    def has_rows(self, table: str, partition: str) -> bool:
        """Check whether a partition holds rows now."""
        written = self.now(table, partition)
        return written is not None and written.rows > 0

    def changed_inputs(self, table: str, partition: str, inputs: Inputs) -> tuple[str, ...]:
        """Return what is not as it was when a partition was made; nothing if it follows from its inputs.

        Parameters
        ----------
        inputs : mapping of str to sequence of str
            Table -> its partitions that the partition is made from. One that was never written equals one that holds
            no rows.
        """
        written = self.now(table, partition)
        if written is None:
            return (NEVER_MADE,) if any(self.has_rows(name, key) for name in inputs for key in inputs[name]) else ()
        if "inputs" not in written.lineage:
            return (UNKNOWN_ORIGIN,)
        return tuple(self._changes(written, inputs))

    def _changes(self, written: Written, inputs: Inputs) -> Iterator[str]:
        reads = {read["table"]: read for read in written.lineage["inputs"]}
        for table, keys in inputs.items():
            read = reads.get(table)
            for key in keys:
                was_read = read is not None and (read["partitions"] is None or key in read["partitions"])
                then = self._at(table, key, read["version"]) if read is not None and was_read else None
                now = self.now(table, key)
                if _content(then) != _content(now):
                    yield f"{_stage(table)}[{key}] {'changed' if _content(then) else 'written since'}"

    def _at(self, table: str, partition: str, version: int | None) -> Written | None:
        writes = self._history(table).get(partition, [])
        return next((write for write in writes if version is None or write.version <= version), None)

    def _history(self, table: str) -> dict[str, list[Written]]:
        if table not in self._writes:
            self._writes[table] = all_writes(self.lake.commits(table))
        return self._writes[table]


def listed(stale: Sequence[StalePartition]) -> str:
    """Return how many partitions of each stage are stale, and at most five examples with their reasons."""
    counts = {each.stage: sum(other.stage == each.stage for other in stale) for each in stale}
    of = ", ".join(f"{count} of {stage}" for stage, count in counts.items())
    return f"stale partitions ({of}): {examples(stale)}"


def _content(written: Written | None) -> str | None:
    return written.hash if written is not None and written.rows else None


def _stage(table: str) -> str:
    return table.rpartition("/")[2]
