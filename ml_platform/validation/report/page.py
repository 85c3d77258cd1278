"""The parts a report is made of: sections with text, tables and charts. Values only; how they look is the template's.

Texts are plain: whoever writes HTML escapes them. Names inside a chart are escaped here, since plotly reads tags.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

Tone = Literal["good", "bad", "unsure", "plain"]
Figure = dict[str, Any]
NONE = "-"


@dataclass(frozen=True)
class Cell:
    """A cell of a table: its text, a smaller text below it, its tone, and how full its background is, from 0 to 1."""

    text: str
    small: str = ""
    tone: Tone = "plain"
    fill: float = 0.0


@dataclass(frozen=True)
class Table:
    """A table; the first `words` columns hold text, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    words: int = 1
    note: str = ""
    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Chart:
    """A chart in plotly's own terms."""

    title: str
    figure: Figure
    note: str = ""
    height: int = 320
    is_wide: bool = False
    kind: Literal["chart"] = "chart"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: Literal["text"] = "text"


Block = Table | Chart | Text


@dataclass(frozen=True)
class Section:
    """A part of the page, with a sentence that says what can be seen in it."""

    title: str
    lead: str
    blocks: Sequence[Block] = field(default_factory=tuple)

    @property
    def anchor(self) -> str:
        """Its place in the page."""
        return self.title.lower().replace(" ", "-")


def cells(*texts: object) -> list[Cell]:
    """Make plain cells."""
    return [Cell(str(text)) for text in texts]


def words(name: str) -> str:
    """Write the name of a metric or a gate as words."""
    return name.replace("_", " ")


def number(value: float | None) -> str:
    """Write a number with four digits that count; a dash for none."""
    if value is None or math.isnan(value):
        return NONE
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4f}" if abs(value) < 10 else f"{value:,.2f}"


def figure(
    traces: Sequence[Mapping[str, Any]],
    x: str = "",
    y: str = "",
    *,
    shapes: Sequence[Mapping[str, Any]] = (),
    **layout: Any,
) -> Figure:
    """Make a figure; names of colours are the page's (`c0` to `c4`, `ink`, `muted`, `good`, `bad`), written `--c0`."""
    axes = {"xaxis": {"title": {"text": escape(x)}}, "yaxis": {"title": {"text": escape(y)}}}
    for name in ("xaxis", "yaxis"):
        axes[name] |= layout.pop(name, {})
    return {"data": list(traces), "layout": {**axes, "shapes": list(shapes), **layout}}


def named(names: Sequence[str]) -> list[str]:
    """Escape names that stand in a chart."""
    return [escape(name) for name in names]
