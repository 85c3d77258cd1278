"""Where in a YAML file a field stands, so that a fault can be shown by file and line."""

from collections.abc import Sequence
from pathlib import Path

import yaml


def line_of(path: Path, location: Sequence[str | int]) -> int:
    """Give the line (from 1) of the deepest part of a location that the file has.

    Parameters
    ----------
    location : sequence of str or int
        Keys and list positions from the document's root.
    """
    node = yaml.compose(path.read_text(), Loader=yaml.SafeLoader)
    line = 1
    for step in location:
        found = _child(node, step)
        if found is None:
            break
        line, node = found
    return line


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step].start_mark.line + 1, node.value[step]
    return None


def repeated_keys(text: str) -> list[tuple[int, str]]:
    """Give line and name of each key that its mapping has already; YAML itself would take the last and say nothing."""
    waiting = [yaml.compose(text, Loader=yaml.SafeLoader)]
    found: list[tuple[int, str]] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            keys = [key.value for key, _ in node.value]
            found += [
                (key.start_mark.line + 1, str(key.value))
                for place, (key, _) in enumerate(node.value)
                if key.value in keys[:place]
            ]
        if isinstance(node, yaml.MappingNode | yaml.SequenceNode):
            waiting += [each[1] if isinstance(each, tuple) else each for each in node.value]
    return sorted(found)
