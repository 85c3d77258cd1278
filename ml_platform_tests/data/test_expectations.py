"""A suite of Great Expectations: read without the library, run with it, each expectation a finding of its own."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError, SpecError
from ml_platform.data.quality.expectations import Expectation, check_expectations, read_suite


def running(test: Any) -> Any:
    """Mark a test that imports the library, which takes seconds and uses modules that Python deprecates."""
    return pytest.mark.slow(pytest.mark.filterwarnings("ignore:module 'sre_")(test))


def _suite(tmp_path: Path, *expectations: dict[str, object]) -> tuple[Expectation, ...]:
    path = tmp_path / "suite.json"
    path.write_text(json.dumps({"name": "rides", "expectations": expectations, "meta": {"version": "1.24"}}))
    return read_suite(path)


def _between(**kwargs: object) -> dict[str, object]:
    return {"type": "expect_column_values_to_be_between", "kwargs": {"column": "x", "min_value": 0} | kwargs}


def test_a_check_is_named_by_type_and_column(tmp_path: Path) -> None:
    """What comes twice gets a number; a name that Dagster would refuse is made one it takes."""
    suite = _suite(
        tmp_path,
        _between(),
        _between(max_value=1),
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}, "severity": "warning"},
        {"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "a b", "column_B": "c"}, "id": "1"},
        {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["a", "b"]}},
    )
    assert [(each.name, each.severity) for each in suite] == [
        ("expect_column_values_to_be_between_x", "error"),
        ("expect_column_values_to_be_between_x_2", "error"),
        ("expect_table_row_count_to_be_between", "warn"),
        ("expect_column_pair_values_to_be_equal_a_b_c", "error"),
        ("expect_compound_columns_to_be_unique_a_b", "error"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"suite\.json: got .*line 1 column 2.*, expected JSON in UTF-8"),
        ("[]", "got none or too many, expected a list expectations, with 1 to 500"),
        ('{"expectations": []}', "got none or too many"),
        ('{"expectations": [{}]}', r"expectations\.0: got {}, expected a type expect_"),
        ('{"expectations": [{"type": "drop table"}]}', r"expectations\.0: got .*drop table"),
        ('{"expectations": [{"type": "expect_x", "kwargs": [1]}]}', r"expectations\.0"),
    ],
)
def test_a_fault_of_the_suite_is_told_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "suite.json").write_text(text)
    with pytest.raises(SpecError, match=said):
        read_suite(tmp_path / "suite.json")


def test_a_suite_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"suite\.json: got no such file, expected a suite. Hint: export"):
        read_suite(tmp_path / "suite.json")


def test_without_a_suite_the_library_is_not_needed() -> None:
    load = "import polars as pl; from ml_platform.data.quality.expectations import check_expectations"
    code = f"{load}; check_expectations(pl.DataFrame(), ());"
    done = [sys.executable, "-c", f"{code} import sys; print('great_expectations' in sys.modules)"]
    assert subprocess.run(done, capture_output=True, text=True, check=True).stdout.strip() == "False"


@running
@pytest.mark.parametrize(("low", "passes"), [(1.0, True), (1.1, False), (0.9, True)])
def test_an_expectation_is_held_at_its_limit(tmp_path: Path, low: float, passes: bool) -> None:
    """With how many values were unexpected, and examples of them."""
    rows = pl.DataFrame({"x": [1.0, 2.0, 3.0, None]})
    [finding] = check_expectations(rows, _suite(tmp_path, _between(min_value=low)))
    assert (finding.passed, finding.is_fatal) == (passes, not passes)
    assert finding.numbers["unexpected_count"] == (0 if passes else 1)
    assert list(finding.examples) == ([] if passes else [{"value": "1.0", "rows": 1}])
    assert f"{0 if passes else 1} of 4 values unexpected" in finding.sentence


@running
def test_each_has_its_own_finding_in_the_suites_order(tmp_path: Path) -> None:
    """Also the same expectation twice, and one of a column that is not there."""
    suite = _suite(
        tmp_path,
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "x", "max_value": 1}},
        _between(column="y"),
        _between(max_value=2),
        _between(max_value=3),
    )
    found = check_expectations(pl.DataFrame({"x": [1, 2, 3]}), suite, warn=True)
    assert [each.name for each in found] == [each.name for each in suite]
    assert [each.passed for each in found] == [False, False, False, True]
    assert {each.severity for each in found} == {"warn"}
    assert found[0].sentence.endswith("observed 2.0")
    assert "could not be told" in found[1].sentence
    assert "y" in found[1].sentence


@running
def test_no_rows_are_judged_too(tmp_path: Path) -> None:
    suite = _suite(tmp_path, {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}}, _between())
    found = check_expectations(pl.DataFrame(schema={"x": pl.Float64}), suite)
    assert [each.passed for each in found] == [False, True]


@running
@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "expect_nonsense", "kwargs": {}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"colum": "x"}},
    ],
)
def test_what_the_library_does_not_know_is_told(tmp_path: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ContractError, match=r"quality\.expectations: got .* Hint: mend the suite"):
        check_expectations(pl.DataFrame({"x": [1]}), _suite(tmp_path, wrong))


@running
def test_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No socket is opened while a suite runs."""
    import socket

    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    from ml_platform.data.quality import expectations

    expectations._frames.cache_clear()
    [finding] = check_expectations(pl.DataFrame({"x": [1]}), _suite(tmp_path, _between()))
    assert finding.passed
    context = expectations._frames().data_asset.datasource.data_context
    assert context is not None
    assert context.variables.analytics_enabled is False
