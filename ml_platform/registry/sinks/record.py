"""What is told of a fit or an evaluation, under the same names wherever it goes, and the port that it goes through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


class Point(NamedTuple):
    """A value of a metric; `step` is 0 where there is only one."""

    name: str
    value: float
    step: int = 0


class Dataset(NamedTuple):
    """One version of a lake table that a fit was made from.

    `digest` has at most 36 characters, `columns` are their names and types; `context` says what it was used for.
    """

    name: str
    digest: str
    place: str
    version: int
    rows: int | None
    context: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Record:
    """All that is told at a time; no secrets.

    Parameters
    ----------
    params : mapping
        What was chosen.
    tags : mapping
        What it belongs to.
    points : tuple of Point
        What was measured.
    texts : mapping of str to str
        Files by their name.
    datasets : tuple of Dataset
        What it was made from.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[Dataset, ...] = ()


class Sink(Protocol):
    """Takes records."""

    def write(self, record: Record) -> str:
        """Write all of a record, and give the place where people find it: a URL or a folder.

        Raises
        ------
        RegistryError
            If the sink does not take it.
        """
        ...
