"""A suite of Great Expectations beside the YAML: read without the library, run with it on the rows of a partition.

Nothing is sent anywhere: the context lives in memory, with analytics off.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import polars as pl

from ml_platform.contracts.errors import EXAMPLES_AT_MOST, ContractError, SpecError
from ml_platform.data.quality.findings import Finding

if TYPE_CHECKING:
    from great_expectations.core.batch_definition import BatchDefinition

PACKAGE = "great_expectations"
EXPECTATIONS_AT_MOST = 500
_TYPE = re.compile(r"expect_[a-z0-9_]{1,150}")
_COLUMNS = ("column", "column_A", "column_B", "column_list", "column_set")


@dataclass(frozen=True)
class Expectation:
    """One expectation of a suite; `name` names its check."""

    name: str
    type: str
    kwargs: Mapping[str, Any]
    severity: Literal["error", "warn"]


def read_suite(path: Path) -> tuple[Expectation, ...]:
    """Read a suite as Great Expectations exports it, as JSON.

    Raises
    ------
    SpecError
        If it cannot be read; names the file, and the expectation at fault.
    """
    hint = "export the suite as JSON: a list `expectations`, each with `type` and `kwargs`"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise SpecError.because(str(path), got="no such file", expected="a suite", hint=hint) from None
    except ValueError as error:
        raise SpecError.because(str(path), got=str(error), expected="JSON in UTF-8", hint=hint) from None
    listed = document.get("expectations") if isinstance(document, dict) else None
    if not isinstance(listed, list) or not 0 < len(listed) <= EXPECTATIONS_AT_MOST:
        expected = f"a list expectations, with 1 to {EXPECTATIONS_AT_MOST} of them"
        raise SpecError.because(str(path), got="none or too many", expected=expected, hint=hint)
    names: list[str] = []
    for place, each in enumerate(listed):
        if not _is_expectation(each):
            raise SpecError.because(
                f"{path}: expectations.{place}", got=str(each)[:200], expected="a type expect_... and kwargs", hint=hint
            )
        names.append(_name(each["type"], each.get("kwargs", {}), names))
    return tuple(_expectation(name, each) for name, each in zip(names, listed, strict=True))


def check_expectations(rows: pl.DataFrame, suite: Sequence[Expectation], *, warn: bool = False) -> list[Finding]:
    """Run a suite on the rows of one partition.

    Parameters
    ----------
    warn : bool
        Whether a failed expectation only says so.

    Raises
    ------
    ContractError
        If Great Expectations does not know an expectation, or what it is given.
    """
    if not suite:
        return []
    from great_expectations.core.expectation_suite import ExpectationSuite
    from great_expectations.exceptions.exceptions import GreatExpectationsError

    try:
        listed = [{"type": each.type, "kwargs": dict(each.kwargs), "meta": {"name": each.name}} for each in suite]
        made = ExpectationSuite(name="suite", expectations=listed)
        batch = _frames().get_batch({"dataframe": rows.to_pandas()})
        found = batch.validate(made, result_format={"result_format": "SUMMARY"})
    except (GreatExpectationsError, TypeError, ValueError) as error:  # it builds expectations by pydantic
        raise _refused(" ".join(str(error).split())[:500]) from error
    told: Any = found.to_json_dict()
    results = {each["expectation_config"]["meta"]["name"]: each for each in told["results"]}
    if unknown := [each.type for each in suite if each.name not in results]:  # it leaves them out, and only logs it
        raise _refused(f"unknown {', '.join(unknown)}")
    return [_finding(each, results[each.name], warn=warn) for each in suite]


def _refused(got: str) -> ContractError:
    return ContractError.because(
        "quality.expectations", got=got, expected="expectations that can be run",
        hint="mend the suite, or the version of great_expectations",
    )  # fmt: skip


def _is_expectation(each: object) -> bool:
    return (
        isinstance(each, dict)
        and isinstance(each.get("type"), str)
        and _TYPE.fullmatch(each["type"]) is not None
        and isinstance(each.get("kwargs", {}), dict)
    )


def _name(kind: str, kwargs: Mapping[str, Any], taken: Sequence[str]) -> str:
    """Name a check by the expectation's type and columns; one that comes again gets a number."""
    named = [kwargs[key] for key in _COLUMNS if key in kwargs]
    columns = [str(name) for each in named for name in (each if isinstance(each, list) else [each])]
    name = re.sub(r"\W", "_", "_".join([kind, *columns]))[:200]
    again = sum(each == name or re.fullmatch(rf"{name}_\d+", each) is not None for each in taken)
    return f"{name}_{again + 1}" if again else name


def _expectation(name: str, each: Mapping[str, Any]) -> Expectation:
    is_critical = each.get("severity", "critical") == "critical"
    return Expectation(name, each["type"], each.get("kwargs", {}), "error" if is_critical else "warn")


@cache
def _frames() -> "BatchDefinition":
    """Give the place through which frames enter; making it takes longer than a small suite."""
    import great_expectations
    from great_expectations.data_context.types.base import (
        DataContextConfig,
        InMemoryStoreBackendDefaults,
        ProgressBarsConfig,
    )

    quiet = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(),
        analytics_enabled=False,
        progress_bars=ProgressBarsConfig(globally=False),
    )
    context = great_expectations.get_context(mode="ephemeral", project_config=quiet)
    return (
        context.data_sources.add_pandas("lake").add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    )


def _finding(expectation: Expectation, result: Mapping[str, Any], *, warn: bool) -> Finding:
    said = result["result"]
    counts = said.get("partial_unexpected_counts") or []
    return Finding(
        name=expectation.name,
        passed=bool(result["success"]),
        severity="warn" if warn else expectation.severity,
        sentence=f"{expectation.name}: {_told(result)}",
        numbers={
            name: said[name]
            for name in ("element_count", "unexpected_count", "unexpected_percent", "observed_value")
            if isinstance(said.get(name), int | float | str)
        },
        examples=[{"value": str(each["value"]), "rows": each["count"]} for each in counts[:EXAMPLES_AT_MOST]],
    )


def _told(result: Mapping[str, Any]) -> str:
    said = result["result"]
    if "unexpected_count" in said:
        return f"{said['unexpected_count']} of {said.get('element_count')} values unexpected"
    if "observed_value" in said:
        return f"observed {str(said['observed_value'])[:200]}"
    return f"could not be told ({', '.join(sorted(set(_messages(result['exception_info']))))[:300]})"


def _messages(raised: object) -> Iterator[str]:
    """Find the messages of what was raised, which lie one or two levels deep."""
    if isinstance(raised, Mapping):
        if raised.get("exception_message"):
            yield str(raised["exception_message"])
        for each in raised.values():
            yield from _messages(each)
