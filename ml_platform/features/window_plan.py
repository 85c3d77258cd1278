"""The plan of the windows: what they aggregate, and which rows of the past they need for it.

Pure data that goes into the bundle as JSON. How a window is computed is the business of `ml_platform.features.windows`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from ml_platform.contracts.spec import PipelineSpec, RowsWindow, WindowFeature
from ml_platform.features.expressions import columns_of

HISTORY = "history"


@dataclass(frozen=True)
class WindowPlan:
    """One window.

    Parameters
    ----------
    name : str
        Of the feature.
    by : tuple of str
        Columns that a row and its past share.
    how : str
        One of the aggregates of the spec.
    of : str or None
        Column to aggregate; None counts rows.
    reach : timedelta
        How far back the rows lie at most, exclusive.
    rows : int or None
        The newest so many of them; None for all.
    where : str or None
        SQL condition on the rows that count.
    awaits_label : bool
        Whether it looks at a column that is known only with the label.
    """

    name: str
    by: tuple[str, ...]
    how: str
    of: str | None
    reach: timedelta
    rows: int | None
    where: str | None
    awaits_label: bool

    @property
    def where_place(self) -> str:
        """What the condition is called in an error."""
        return f"features.windows.{self.name}.where"

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object."""
        return {
            "name": self.name, "by": list(self.by), "how": self.how, "of": self.of, "rows": self.rows,
            "reach_seconds": self.reach.total_seconds(), "where": self.where, "awaits_label": self.awaits_label,
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "WindowPlan":
        """Read what `to_json` gave."""
        reach = timedelta(seconds=value["reach_seconds"])
        given = {name: value[name] for name in ("name", "how", "of", "rows", "where", "awaits_label")}
        return cls(by=tuple(value["by"]), reach=reach, **given)


@dataclass(frozen=True)
class HistoryPlan:
    """The windows of a pipeline and the past that they share: validated rows, handed over as the lookup `history`.

    Parameters
    ----------
    key : tuple of str
        Columns that identify a row.
    event_time : str
        Column with the instant of a row.
    inputs : tuple of str
        Columns that are known at the event time; what is neither key, event time nor input is known with the label.
    known_at : str or None
        Column with the instant at which the label became known; None if it is known `known_after` the event time.
    known_after : timedelta or None
        See there.
    corrected : bool
        Whether several rows of one key are corrections of each other; without it each of them counts.
    timezone : str
        In which `where` sees instants.
    windows : tuple of WindowPlan
        In the order in which they are made.
    """

    key: tuple[str, ...]
    event_time: str
    inputs: tuple[str, ...]
    known_at: str | None
    known_after: timedelta | None
    corrected: bool
    timezone: str
    windows: tuple[WindowPlan, ...]

    @classmethod
    def from_spec(cls, spec: PipelineSpec, inputs: tuple[str, ...]) -> "HistoryPlan | None":
        """Make the plan of a pipeline; None if it has no windows. Raises SpecError for a `where` that is no SQL."""
        if not spec.features.windows:
            return None
        early = {*spec.key, spec.event_time, *inputs}
        return cls(
            key=tuple(spec.key),
            event_time=spec.event_time,
            inputs=inputs,
            known_at=spec.label.known_at,
            known_after=spec.label.known_after,
            corrected=spec.label.corrected,
            timezone=spec.partitions.timezone,
            windows=tuple(_window(window, early) for window in spec.features.windows),
        )

    @property
    def reach(self) -> timedelta:
        """How far back any of the windows looks."""
        return max(window.reach for window in self.windows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the past that the windows need."""
        own = [*self.key, self.event_time, *([self.known_at] if self.known_at else [])]
        for window in self.windows:
            own += [*window.by, *([window.of] if window.of else []), *_where_columns(window)]
        return tuple(dict.fromkeys(own))

    @property
    def known_later(self) -> tuple[str, ...]:
        """Those of `columns` that are known with the label."""
        return tuple(name for name in self.columns if name not in (*self.key, self.event_time, *self.inputs))

    def to_json(self) -> dict[str, Any]:
        """Give a JSON object."""
        after = None if self.known_after is None else self.known_after.total_seconds()
        return {
            "key": list(self.key), "event_time": self.event_time, "inputs": list(self.inputs),
            "known_at": self.known_at, "known_after_seconds": after, "corrected": self.corrected,
            "timezone": self.timezone, "windows": [window.to_json() for window in self.windows],
        }  # fmt: skip

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "HistoryPlan":
        """Read what `to_json` gave."""
        seconds = value["known_after_seconds"]
        return cls(
            key=tuple(value["key"]),
            event_time=value["event_time"],
            inputs=tuple(value["inputs"]),
            known_at=value["known_at"],
            known_after=None if seconds is None else timedelta(seconds=seconds),
            corrected=value["corrected"],
            timezone=value["timezone"],
            windows=tuple(WindowPlan.from_json(window) for window in value["windows"]),
        )


def _window(window: WindowFeature, early: set[str]) -> WindowPlan:
    seen = [] if window.where is None else columns_of(f"features.windows.{window.name}.where", window.where)
    if window.of is not None:
        seen.append(window.of)
    return WindowPlan(
        name=window.name,
        by=tuple(window.by),
        how=window.how,
        of=window.of,
        reach=window.reach,
        rows=window.over.rows if isinstance(window.over, RowsWindow) else None,
        where=window.where,
        awaits_label=not early.issuperset(seen),
    )


def _where_columns(window: WindowPlan) -> list[str]:
    return [] if window.where is None else columns_of(window.where_place, window.where)
