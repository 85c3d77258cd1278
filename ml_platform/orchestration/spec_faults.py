"""What is wrong with a spec, and how it is told: file, line, what was got, what was expected, a hint."""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import ErrorDetails

from ml_platform.contracts.errors import SpecError, examples
from ml_platform.contracts.lightgbm_params import SET_ELSEWHERE
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.yaml_lines import line_of

Location = tuple[str | int, ...]
_CREDENTIALS = re.compile(r"://[^\s/@]*@")
_TAGGED = {"source": 1, "models": 2, "gates": 2}  # where pydantic puts the kind of a part into the path


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where."""

    location: Location
    got: object
    expected: str
    hint: str


def fault_of(detail: ErrorDetails) -> Fault:
    """Say what pydantic found in our words."""
    location = _untagged(tuple(step for step in detail["loc"] if step not in ("function-plain", "[key]")))
    name = next((step for step in reversed(location) if isinstance(step, str)), "attributes")
    match detail["type"]:
        case "extra_forbidden":
            known = _known_keys(location[:-1])
            elsewhere = SET_ELSEWHERE.get(name) if "params" in location else None
            return Fault(location, f"key {name}", f"one of {', '.join(known)}", elsewhere or nearest(name, known))
        case "missing":
            return Fault(location, "nothing", f"a value for {name}", "add it")
        case "value_error":
            return Fault(
                location, detail["input"], detail["msg"].removeprefix("Value error, expected "), f"mend {name}"
            )
        case _:
            return Fault(
                location, repr(detail["input"]), detail["msg"].removeprefix("Input should be "), f"mend {name}"
            )


def _untagged(location: Location) -> Location:
    place = _TAGGED.get(str(location[0])) if location else None
    return location if place is None else location[:place] + location[place + 1 :]


def _known_keys(location: Location) -> list[str]:
    """Give the keys that the spec allows at a place, by walking its JSON schema."""
    document = PipelineSpec.model_json_schema()
    node = document
    for step in location:
        node = _deref(node, document)
        options = [_deref(option, document) for option in node.get("anyOf", [node])]
        node = next((each for each in (_step(option, step) for option in options) if each), {})
    options = [_deref(option, document) for option in _deref(node, document).get("oneOf", [node])]
    return list(dict.fromkeys(key for option in options for key in _deref(option, document).get("properties", {})))


def _step(node: dict[str, Any], step: str | int) -> dict[str, Any]:
    if isinstance(step, int):
        return node.get("items", {})
    additional = node.get("additionalProperties")
    patterns = next(iter(node.get("patternProperties", {}).values()), {})
    return node.get("properties", {}).get(step) or (additional if isinstance(additional, dict) else patterns)


def _deref(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref", "").rpartition("/")[2]
    return document["$defs"][reference] if reference else node


def nearest(name: str, known: Sequence[str]) -> str:
    """Guess what was meant."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]}?" if close else f"known: {examples(known)}"


def refusal(path: Path, faults: list[Fault]) -> SpecError:
    """Give one error for all faults, a line each."""
    return SpecError("\n".join(_told(path, fault) for fault in faults))


def _told(path: Path, fault: Fault) -> str:
    line = line_of(path, ("attributes", *fault.location))
    where = ".".join(map(str, fault.location)) or "attributes"
    said = f"got {fault.got}, expected {fault.expected}. Hint: {fault.hint}"
    return f"{path}:{line}: {where}: {_CREDENTIALS.sub('://***@', ' '.join(said.split()))}"
