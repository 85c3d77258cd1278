"""The frozen schema: what is written is read back, what is wrong with it is told by line, and rows are judged by it."""

import re
from pathlib import Path

import pandas as pd
import pandera.pandas as pa
import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.contracts.errors import SpecError
from ml_platform.data.quality.frozen_schema import (
    FrozenColumn,
    FrozenSchema,
    infer_schema,
    read_schema,
    schema_text,
    to_pandera,
    write_schema,
)

RIDES = """\
columns:
  ride_id: {type: string}
  fare: {type: float64, nullable: true, at_least: 0, at_most: 99.5}
  line: {type: string, one_of: [u1, u2]}
  plate: {type: string, pattern: 'B-[A-Z]{2}'}
"""


def _read(tmp_path: Path, text: str) -> FrozenSchema:
    path = tmp_path / "schema.yaml"
    path.write_text(text)
    return read_schema(path)


def test_the_file_reads_like_a_table(tmp_path: Path) -> None:
    """A line for each column, only what it says beyond the default; above it what may be said."""
    schema = _read(tmp_path, RIDES)
    head, _, body = schema_text(schema).partition("columns:\n")
    assert f"columns:\n{body}" == RIDES
    assert all(line.startswith("#") for line in head.splitlines())
    assert "one_of" in head


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=200)
COLUMNS = st.one_of(
    st.builds(
        FrozenColumn,
        type=st.just("string"),
        nullable=st.booleans(),
        one_of=st.none() | st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("C",))), min_size=1),
    ),
    st.builds(FrozenColumn, type=st.just("int64"), at_least=st.none() | st.integers(-(2**60), 2**60)),
    st.builds(
        FrozenColumn, type=st.just("float64"), at_most=st.none() | st.floats(allow_nan=False, allow_infinity=False)
    ),
    st.builds(FrozenColumn, type=st.sampled_from(["bool", "timestamp"]), nullable=st.booleans()),
)


@given(
    st.dictionaries(NAMES | st.sampled_from(["on", "no", "1", "null", "a: b", "- c", "#d", '"']), COLUMNS, min_size=1)
)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, columns: dict[str, FrozenColumn]
) -> None:
    """Whatever the columns are called, and in the same order."""
    path, schema = tmp_path_factory.getbasetemp() / "schema.yaml", FrozenSchema(columns=columns)
    write_schema(path, schema)
    back = read_schema(path)
    assert back == schema
    assert list(back.columns) == list(columns)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("type: float64", "type: float", "3: columns.fare.type: got 'float', expected 'string', 'int64', "),
        ("at_most", "at_mots", "3: columns.fare.at_mots: got key at_mots, expected one of type, nullable, "),
        ("at_least: 0", "at_least: none", "3: columns.fare.at_least: got 'none', expected a number. Hint"),
        ("at_least: 0", "at_least: 100", "3: columns.fare: got .*, expected at_least no larger than at_most"),
        ("at_least: 0", "at_least: .inf", "3: columns.fare.at_least: got inf, expected a finite number"),
        ("type: float64", "type: string", "3: columns.fare: got .*, expected at_least and at_most only with int64"),
        ("[u1, u2]", "[1]", "4: columns.line: got .*, expected one_of with values of type string"),
        ("[u1, u2]", "[]", "4: columns.line.one_of: got "),
        ("'B-[A-Z]{2}'", "'B-['", "5: columns.plate: got .*, expected a regular expression as pattern .unterminated"),
        ("{type: string, pattern", "{type: int64, pattern", "5: columns.plate: got .*, expected pattern only with str"),
        ("{type: string}", "{}", "2: columns.ride_id.type: got nothing, expected a value for type"),
        ("columns:", "colums:", "1: colums: got key colums, expected one of columns. Hint"),
        ("line:", "fare:", "4: fare: got a second time, expected each key once"),
        ("ride_id", "1", "2: columns.1: got 1, expected a valid string"),
        ("{type: string}", "{type: string", "3: schema: got .*, expected YAML in UTF-8"),
        (RIDES, "", "1: schema: got None, expected the key columns, with a mapping of names to types"),
        (RIDES, "columns: {}", "1: columns: got .*, expected Dictionary should have at least 1 item"),
    ],
)
def test_a_fault_is_told_with_file_line_and_hint(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        _read(tmp_path, RIDES.replace(old, new, 1))
    lines = str(caught.value).splitlines()
    pattern = re.escape(f"{tmp_path}/schema.yaml:") + said.replace("?", "[?]")
    assert any(re.match(pattern, line) for line in lines), caught.value
    assert all("Hint: " in line for line in lines)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as caught:
        _read(tmp_path, RIDES.replace("float64", "float").replace("one_of", "oneof"))
    assert [line.split(":")[1] for line in str(caught.value).splitlines()] == ["3", "4"]


def test_a_missing_file_says_how_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"schema\.yaml: got no file, .* `ml-platform schema PIPELINE`"):
        read_schema(tmp_path / "schema.yaml")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "schema.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"schema\.yaml:1: .* expected YAML in UTF-8"):
        read_schema(tmp_path / "schema.yaml")


def test_a_sample_freezes_types_and_nulls_and_no_range() -> None:
    rows = pl.DataFrame(
        {"id": ["a", None], "n": [1, 2], "x": [0.5, None], "ok": [True, False], "none": [None, None]},
    ).with_columns(at=pl.lit("2020-01-01").str.to_datetime().dt.replace_time_zone("UTC"))
    found = {
        name: column.model_dump(exclude_defaults=True) for name, column in infer_schema(rows, ("id",)).columns.items()
    }
    assert found == {
        "id": {"type": "string"},
        "n": {"type": "int64"},
        "x": {"type": "float64", "nullable": True},
        "ok": {"type": "bool"},
        "none": {"type": "string", "nullable": True},
        "at": {"type": "timestamp"},
    }


@pytest.mark.parametrize(
    ("column", "value", "is_good"),
    [
        ("fare", 0.0, True),
        ("fare", -0.01, False),
        ("fare", 99.5, True),
        ("fare", 99.51, False),
        ("fare", None, True),
        ("line", "u1", True),
        ("line", "u3", False),
        ("line", None, False),
        ("plate", "B-XY", True),
        ("plate", "B-XYZ", False),
        ("plate", "AB-XY", False),
        ("plate", "B-XY\n", False),
    ],
)
def test_pandera_judges_at_the_limits(tmp_path: Path, column: str, value: object, is_good: bool) -> None:
    schema = to_pandera(_read(tmp_path, RIDES))
    row = {"ride_id": "a", "fare": 1.0, "line": "u1", "plate": "B-XY"} | {column: value}
    types = {name: each.dtype.type for name, each in schema.columns.items()}
    frame = pd.DataFrame([row]).astype(types)
    if is_good:
        schema.validate(frame)
        return
    with pytest.raises(pa.errors.SchemaErrors):
        schema.validate(frame, lazy=True)


@given(st.dictionaries(st.sampled_from(["ride_id", "fare", "line"]), st.text(min_size=1, max_size=40), min_size=1))
def test_descriptions_are_kept_and_reach_the_schema(said: dict[str, str]) -> None:
    """Whatever characters they have."""
    columns = {name: FrozenColumn(type="string", description=said.get(name)) for name in ("ride_id", "fare", "line")}
    schema = FrozenSchema(columns=columns)
    assert FrozenSchema.model_validate(yaml.safe_load(schema_text(schema))) == schema
    described = {str(name): column.description for name, column in to_pandera(schema).columns.items()}
    assert described == {name: said.get(name) for name in columns}
