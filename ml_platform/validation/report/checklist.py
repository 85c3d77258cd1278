"""The checklist before a deployment: each item is done, not done or not applicable, and shows its evidence.

Nobody ticks anything by hand: an item without evidence is not done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ml_platform.validation.plots import table

State = Literal["done", "not done", "not applicable"]
MARKS: dict[State, str] = {"done": "✅", "not done": "❌", "not applicable": "⚪"}


@dataclass(frozen=True)
class Item:
    """One thing to be done, a statement that holds when it is, and the evidence for its state."""

    what: str
    state: State
    evidence: str


def checklist_table(items: Sequence[Item]) -> str:
    """Write the checklist as a Markdown table."""
    rows = [[f"{MARKS[item.state]} {item.state}", item.what, " ".join(item.evidence.split())] for item in items]
    return table(["", "before it serves", "evidence"], rows)
