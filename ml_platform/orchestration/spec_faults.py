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
_WRAPS = re.compile(r"function-plain|\[key\]|(?:literal|dict|list)\[.*")  # what pydantic puts into a path besides names


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and where."""

    location: Location
    got: object
    expected: str
    hint: str


def fault_of(detail: ErrorDetails) -> Fault:
    """Say what pydantic found in our words."""
    location, options = _walk(tuple(step for step in detail["loc"] if not _WRAPS.fullmatch(str(step))))
    name = next((step for step in reversed(location) if isinstance(step, str)), "attributes")
    match detail["type"]:
        case "extra_forbidden":
            known = [key for option in options for key in option.get("properties", {})]
            elsewhere = SET_ELSEWHERE.get(name) if "params" in location else None
            return Fault(location, f"key {name}", f"one of {', '.join(known)}", elsewhere or nearest(name, known))
        case "union_tag_invalid":
            tag, kinds = (str(detail.get("ctx", {}).get(key)) for key in ("tag", "expected_tags"))
            return Fault((*location, "kind"), repr(tag), f"one of {kinds}", "mend kind")
        case "union_tag_not_found":
            return Fault(location, "no kind", "one that says what it is", "add kind")
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


def _walk(path: Location) -> tuple[Location, list[dict[str, Any]]]:
    """Follow pydantic's path through the schema of the spec.

    Gives the path as an author knows it, without the kinds that pydantic puts in where a part has several, and what the
    part that holds the last step may be.
    """
    document = PipelineSpec.model_json_schema()
    location: Location = ()
    options = holders = _options(document, document)
    for step in path:
        if len(options) > 1 and (chosen := [option for option in options if _is_kind(option, step)]):
            options = chosen
            continue
        holders = options
        options = [each for option in options for each in _options(_step(option, step), document)]
        location = (*location, step)
    return location, holders


def _options(node: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what a node may be, each by its own definition."""
    node = _deref(node, document)
    several = node.get("anyOf", node.get("oneOf"))
    return [node] if several is None else [_deref(option, document) for option in several]


def _is_kind(option: dict[str, Any], step: str | int) -> bool:
    kind = option.get("properties", {}).get("kind", {})
    return step in (kind.get("const"), option.get("title")) and "properties" in option


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
