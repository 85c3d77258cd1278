"""What is told of a fit or an evaluation, under the same names wherever it goes, and the port that it goes through."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


class Point(NamedTuple):
    """A value of a metric; `step` is 0 where there is only one."""

    name: str
    value: float
    step: int = 0


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
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    points: tuple[Point, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


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
