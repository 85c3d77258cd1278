"""The schema of a pipeline that names none: `schema.yaml` beside its YAML, inferred once, then changed by hand only.

It says less than pandera can, and reads like a table, so that a change is a diff that a reviewer understands. Here it
is read (every fault with its line), written, inferred from typed rows and made a pandera schema.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Self

import pandas as pd
import pandera.pandas as pa
import polars as pl
import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.records import FieldType
from ml_platform.contracts.spec.parts import SpecPart
from ml_platform.data.sources.inference import type_of
from ml_platform.data.yaml_lines import line_of, repeated_keys

FILE = "schema.yaml"
COLUMNS_AT_MOST = 5000
_HEADER = """\
# What a row must be. Inferred once from the source and frozen: change it by hand and review the change as a diff;
# a row that breaks it goes to quarantine. Beside type and nullable a column may have
#   at_least, at_most  bounds of a number, both included
#   one_of             the values it may have
#   pattern            a regular expression that the whole text must match
#   description        what it holds, for people: Dagster shows it
"""
_DTYPES: dict[FieldType, Any] = {
    "string": pd.StringDtype(),
    "int64": pd.Int64Dtype(),
    "float64": "float64",
    "bool": pd.BooleanDtype(),
    "timestamp": "datetime64[us, UTC]",
}
_NUMBERS = ("int64", "float64")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
Number = Annotated[int | float, Field(allow_inf_nan=False)]


class FrozenColumn(SpecPart):
    """What the values of one column must be."""

    type: FieldType
    nullable: bool = False
    at_least: Number | None = None
    at_most: Number | None = None
    one_of: Annotated[list[str | int | float], Field(min_length=1)] | None = None
    pattern: Annotated[str, Field(max_length=1000)] | None = None
    description: Annotated[str, Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _rules_fit_the_type(self) -> Self:
        if self.type not in _NUMBERS and not (self.at_least is None and self.at_most is None):
            raise ValueError(f"expected at_least and at_most only with {' or '.join(_NUMBERS)}, not {self.type}")
        if self.type != "string" and self.pattern is not None:
            raise ValueError(f"expected pattern only with string, not {self.type}")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("expected at_least no larger than at_most")
        self._refuse_strange_values()
        return self

    def _refuse_strange_values(self) -> None:
        kinds = {"string": str, "int64": int, "float64": (int, float)}.get(self.type, ())
        if not all(isinstance(value, kinds) for value in self.one_of or []):
            raise ValueError(f"expected one_of with values of type {self.type}; a bool or a timestamp has none")
        try:
            re.compile(self.pattern or "")
        except re.error as error:
            raise ValueError(f"expected a regular expression as pattern ({error})") from None


class FrozenSchema(SpecPart):
    """What a row of the source must be."""

    columns: Annotated[dict[str, FrozenColumn], Field(min_length=1, max_length=COLUMNS_AT_MOST)]


def read_schema(path: Path) -> FrozenSchema:
    """Read a frozen schema.

    Raises
    ------
    SpecError
        With every fault found, each with file, line, field, what was expected and a hint.
    """
    try:
        text = path.read_text(encoding="utf-8")
        written = yaml.safe_load(text)
        if twice := repeated_keys(text):
            raise SpecError("\n".join(_told(path, line, key, "a second time", "each key once") for line, key in twice))
        return FrozenSchema.model_validate(written)
    except FileNotFoundError:
        hint = "write it by `ml-platform schema PIPELINE`, or name a pandera schema in the spec"
        raise SpecError.because(str(path), got="no file", expected="the frozen schema", hint=hint) from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        said = " ".join(str(getattr(error, "problem", error)).split())
        raise SpecError(_told(path, line, "schema", said, "YAML in UTF-8")) from None
    except ValidationError as error:
        told = {_fault(path, detail) for detail in error.errors()}
        raise SpecError("\n".join(line for _, line in sorted(told))) from None


def write_schema(path: Path, schema: FrozenSchema) -> None:
    """Write a frozen schema: a line for each column, in the order of the source."""
    path.write_text(schema_text(schema), encoding="utf-8")


def schema_text(schema: FrozenSchema) -> str:
    """Give the text of the file; what is left at its default is left out."""
    lines = [f"  {_key(name)}: {_rules(column)}\n" for name, column in schema.columns.items()]
    return f"{_HEADER}columns:\n{''.join(lines)}"


def infer_schema(rows: pl.DataFrame, required: tuple[str, ...] = ()) -> FrozenSchema:
    """Freeze types, and which columns have nulls. A sample's range and values are no law, so none is made of them.

    Parameters
    ----------
    rows : (n_rows, n_columns)
        Typed columns.
    required : tuple of str
        Columns that may never be null whatever was seen: the key, the event time.

    Raises
    ------
    SchemaMismatch
        If a column is none of the five types.
    """
    nulls = {name: count > 0 for name, count in zip(rows.columns, rows.null_count().row(0), strict=True)}
    return FrozenSchema(
        columns={
            name: FrozenColumn(type=type_of(name, dtype), nullable=nulls[name] and name not in required)
            for name, dtype in rows.schema.items()
        }
    )


def to_pandera(schema: FrozenSchema) -> pa.DataFrameSchema:
    """Give the pandera schema that judges rows by it."""
    return pa.DataFrameSchema(
        {
            name: pa.Column(
                _DTYPES[column.type], _checks(column), nullable=column.nullable, description=column.description
            )
            for name, column in schema.columns.items()
        }
    )


def _checks(column: FrozenColumn) -> list[pa.Check]:
    checks: list[pa.Check] = []
    if column.at_least is not None:
        checks.append(pa.Check.ge(column.at_least))
    if column.at_most is not None:
        checks.append(pa.Check.le(column.at_most))
    if column.one_of is not None:
        checks.append(pa.Check.isin(column.one_of))
    if column.pattern is not None:
        checks.append(pa.Check.str_matches(rf"(?:{column.pattern})\Z"))
    return checks


def _key(name: str) -> str:
    is_plain = _PLAIN.fullmatch(name) and yaml.safe_load(name) == name
    return name if is_plain else json.dumps(name, ensure_ascii=False)


def _rules(column: FrozenColumn) -> str:
    rules = column.model_dump(exclude_defaults=True)
    return yaml.safe_dump(rules, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6).strip()


def _fault(path: Path, detail: ErrorDetails) -> tuple[int, str]:
    steps = [step for step in detail["loc"] if step not in ("str", "int", "float", "[key]")]  # what pydantic adds
    got, expected = repr(detail["input"]), detail["msg"].removeprefix("Value error, expected ")
    match detail["type"]:
        case "extra_forbidden":
            fields = FrozenSchema.model_fields if len(steps) == 1 else FrozenColumn.model_fields
            got, expected = f"key {steps[-1]}", f"one of {', '.join(fields)}"
        case "missing":
            got, expected = "nothing", f"a value for {steps[-1]}"
        case "int_parsing" | "int_type" | "int_from_float" | "float_parsing" | "float_type":
            expected = "a number"
        case "model_type":
            expected = "the key columns, with a mapping of names to types"
        case _:
            expected = expected.removeprefix("Input should be ")
    line = line_of(path, steps)
    return line, _told(path, line, ".".join(map(str, steps)) or "schema", got, expected)


def _told(path: Path, line: int, where: str, got: str, expected: str) -> str:
    hint = "mend it, or write it anew by `ml-platform schema PIPELINE --again`"
    return f"{path}:{line}: {where}: got {' '.join(got.split())[:200]}, expected {expected}. Hint: {hint}"
