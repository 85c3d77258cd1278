"""What each commit of a lake table says of itself: the content of its partitions, and what they were made from.

It stands in the commit, so it is there exactly when the rows are. Reading goes backwards from the newest commit.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ml_platform.contracts.records import Content

ENTRY = "ml_platform"


@dataclass(frozen=True)
class Written:
    """How a partition came to hold what it holds now.

    Parameters
    ----------
    version : int
        The table version that its last write made.
    hash : str
        SHA-256 of its rows.
    rows : int
        How many.
    lineage : mapping
        What the writer said they were made from; empty if nothing.
    at : datetime
        When, in UTC.
    """

    version: int
    hash: str
    rows: int
    lineage: Mapping[str, Any]
    at: datetime


def entry(contents: Mapping[str, Content], lineage: Mapping[str, Any] | None) -> dict[str, str]:
    """Give the custom metadata of a commit."""
    said = {"partitions": {key: [each.hash, each.rows] for key, each in contents.items()}, "lineage": lineage or {}}
    return {ENTRY: json.dumps(said, sort_keys=True)}


def lineage_of(commit: Mapping[str, Any]) -> dict[str, Any]:
    """Give what one of our commits says its rows were made from."""
    return json.loads(commit[ENTRY])["lineage"]


def contents_of(commit: Mapping[str, Any]) -> dict[str, Content]:
    """Give what one of our commits says its partitions hold."""
    said = json.loads(commit[ENTRY])["partitions"]
    return {key: Content(hash=digest, rows=rows) for key, (digest, rows) in said.items()}


def last_writes(commits: Iterable[Mapping[str, Any]]) -> dict[str, Written]:
    """Return the last write of each partition.

    Parameters
    ----------
    commits : iterable of mapping
        Commit entries as Delta gives them, newest first; those that are not ours are passed over.
    """
    return {key: writes[0] for key, writes in all_writes(commits).items()}


def all_writes(commits: Iterable[Mapping[str, Any]]) -> dict[str, list[Written]]:
    """Return every write of each partition, newest first; `commits` as for `last_writes`."""
    writes: dict[str, list[Written]] = {}
    for commit in commits:
        if ENTRY not in commit:
            continue
        said, at = json.loads(commit[ENTRY]), datetime.fromtimestamp(commit["timestamp"] / 1000, UTC)
        for key, (digest, rows) in said["partitions"].items():
            writes.setdefault(key, []).append(Written(commit["version"], digest, rows, said["lineage"], at))
    return writes
