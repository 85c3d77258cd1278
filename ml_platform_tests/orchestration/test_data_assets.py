"""The data stages run: what each partition says of itself, and what a bad one leaves behind."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl
import pytest

from ml_platform.contracts.errors import ContractError
from ml_platform.data.quality.expectations import Expectation
from ml_platform.data.quality.verdicts import read_verdicts, require_trusted
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.tiny.source import FAULTS, RIDES_A_DAY
from ml_platform_tests.pipelines.world import FIRST, LAST, World, definitions, error_of, faults, tiny

if TYPE_CHECKING:
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

pytestmark = [pytest.mark.slow, *DAGSTER]

DAY, NEXT, AFTER = "2020-02-01", "2020-02-02", "2020-02-03"  # not loaded yet
CHECK = "rows_at_least"
TABLES = ["raw", "validated", "quarantine", "features"]

Evaluations = dict[str | None, bool]


def _evaluations(world: World, result: dg.ExecuteInProcessResult, check: str = CHECK) -> Evaluations:
    """Give what a run found of each partition; under None stands the run as a whole."""
    records = _history(world, check)
    return {each.partition: each.status.value == "SUCCEEDED" for each in records if each.run_id == result.run_id}


def _stored(world: World) -> Evaluations:
    """Give the newest stored evaluation of each partition, as the UI would find it."""
    return {record.partition: record.status.value == "SUCCEEDED" for record in reversed(_history(world))}


def _history(world: World, check: str = CHECK) -> "Sequence[AssetCheckExecutionRecord]":
    key = dg.AssetCheckKey(dg.AssetKey(["tiny", "validated"]), check)
    return world.instance.event_log_storage.get_asset_check_execution_history(key, limit=100)


def _metadata(world: World, result: dg.ExecuteInProcessResult, stage: str) -> dict[str | None, dict[str, object]]:
    """Give what a run says of each partition, which it says once."""
    events = world.materializations(stage, result.run_id)
    assert len({each.partition for each in events}) == len(events)
    return {each.partition: {name: value.value for name, value in each.metadata.items()} for each in events}


def _versions(world: World) -> dict[str, int]:
    return {table: world.lake.version(f"tiny/{table}") for table in TABLES}


def test_one_partition_is_loaded_and_described(loaded: World) -> None:
    """Every stage holds the day's rows, and says how many and in which version of its table."""
    result = loaded.run("data", DAY)
    assert result.success
    for stage in ("raw", "validated", "features"):
        metadata = _metadata(loaded, result, stage)[DAY]
        assert metadata["dagster/partition_row_count"] == RIDES_A_DAY
        assert metadata["delta/version"] == loaded.lake.version(f"tiny/{stage}")
        assert str(metadata["preview"]).count("\n") == 6
        assert len(loaded.lake.read(f"tiny/{stage}", [DAY])) == RIDES_A_DAY
    assert _evaluations(loaded, result) == {DAY: True}


def test_a_range_says_of_each_partition_its_own(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day with few rows stays red although good days come after it, in the same run and in later ones."""
    monkeypatch.setenv(FAULTS, faults(few_rows=[NEXT]))
    result = loaded.run("data", DAY, AFTER)
    assert result.success
    assert _evaluations(loaded, result) == {DAY: True, NEXT: False, AFTER: True, None: False}
    counts = {key: each["dagster/partition_row_count"] for key, each in _metadata(loaded, result, "validated").items()}
    assert counts == {DAY: RIDES_A_DAY, NEXT: 10, AFTER: RIDES_A_DAY}
    assert loaded.run("data", AFTER).success
    assert {key: passed for key, passed in _stored(loaded).items() if key} == {DAY: True, NEXT: False, AFTER: True}
    monkeypatch.delenv(FAULTS)
    assert loaded.run("data", NEXT).success
    assert _stored(loaded)[NEXT]


def test_a_range_gives_what_its_days_give_one_by_one(loaded: World) -> None:
    """Features made in one run over a month are those of a run for one day, also at the edge of a lookup's window."""
    together = loaded.lake.read("tiny/features", ["2020-01-10"]).sort("ride_id")
    assert together["road_ice"].null_count() == 0
    assert loaded.run("data", "2020-01-10").success
    assert loaded.lake.read("tiny/features", ["2020-01-10"]).sort("ride_id").equals(together)


def test_rows_lie_in_the_partition_of_their_own_day(loaded: World) -> None:
    """Days begin at midnight in Berlin, an hour before UTC's."""
    rows = loaded.lake.read("tiny/raw")
    day = rows["departs_at"].dt.convert_time_zone("Europe/Berlin").dt.date().cast(pl.String)
    assert day.equals(rows["partition"], check_names=False)
    assert (rows["departs_at"].dt.date().cast(pl.String) != rows["partition"]).any()
    assert (day.min(), day.max()) == (FIRST, LAST)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing_column", r"source: missing columns: got .*, expected passengers\. Hint"),
        ("wrong_type", r"source: wrong types: got passengers \(object, not float64"),
    ],
)
def test_a_broken_source_fails_by_column_and_changes_nothing(
    loaded: World, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    """Also a day that was loaded before keeps its rows."""
    before = _versions(loaded)
    monkeypatch.setenv(FAULTS, faults(**{fault: [LAST]}))
    result = loaded.run("data", LAST)
    assert not result.success
    assert re.search(said, error_of(result))
    assert _versions(loaded) == before
    assert len(loaded.lake.read("tiny/raw", [LAST])) == RIDES_A_DAY


def test_a_partition_without_rows_is_said_so(
    loaded: World, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """By a warning and a red check; the others of the range are as ever."""
    monkeypatch.setenv(FAULTS, faults(no_rows=[NEXT]))
    result = loaded.run("data", DAY, NEXT)
    assert result.success
    assert f"tiny/raw: no rows in {NEXT}" in capfd.readouterr().err
    assert _evaluations(loaded, result) == {DAY: True, NEXT: False, None: False}
    assert _metadata(loaded, result, "raw")[NEXT]["dagster/partition_row_count"] == 0
    assert loaded.lake.read("tiny/features", [NEXT]).is_empty()


def test_a_partition_without_rows_is_not_trained_on(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its verdict failed: the training set names it, and what was wrong with it."""
    monkeypatch.setenv(FAULTS, faults(no_rows=["2020-01-20"]))
    assert loaded.run("data", "2020-01-20").success
    before = loaded.lake.version("tiny/training_set")
    result = loaded.materialize("training_set", key="2020-01-23")
    assert not result.success
    assert "tiny/validated: got 2020-01-20 (0 rows, at least 50 expected), expected partitions that" in error_of(result)
    assert loaded.lake.version("tiny/training_set") == before


def test_too_many_bad_rows_fail_the_partition(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of the rows is beyond the limit: the rule is named, neither rows nor quarantine are written."""
    monkeypatch.setenv(FAULTS, faults(bad_values=[LAST]))
    before = _versions(loaded)
    result = loaded.run("data", LAST)
    assert not result.success
    assert f"partition {LAST}: got 20.0% of rows quarantined, most often: passengers" in error_of(result)
    assert _versions(loaded) == before | {"raw": before["raw"] + 1}
    assert _evaluations(loaded, result, "few_rows_quarantined") == {LAST: False}


def test_a_bad_partition_of_a_range_takes_none_of_the_good_ones_with_it(
    loaded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are written, judged and shown; the step fails and names the bad one, which keeps the rows it had."""
    assert loaded.run("data", NEXT).success
    monkeypatch.setenv(FAULTS, faults(bad_values=[NEXT], few_bad_values=[AFTER]))
    result = loaded.run("data", DAY, AFTER)
    assert not result.success
    assert f"partition {NEXT}: got 20.0% of rows quarantined, most often: passengers" in error_of(result)
    assert len(loaded.lake.read("tiny/validated", [DAY, AFTER])) == 2 * RIDES_A_DAY - 6
    assert len(loaded.lake.read("tiny/validated", [NEXT])) == RIDES_A_DAY
    shown = _metadata(loaded, result, "validated")
    assert {key: each["dagster/partition_row_count"] for key, each in shown.items()} == {
        DAY: RIDES_A_DAY,
        AFTER: RIDES_A_DAY - 6,
    }
    assert shown[AFTER]["rows_quarantined"] == 6
    assert _evaluations(loaded, result, "few_rows_quarantined") == {DAY: True, NEXT: False, AFTER: True}
    verdicts = read_verdicts(loaded.lake, "tiny", [DAY, NEXT, AFTER])
    assert {key: each.outcome for key, each in verdicts.items()} == {DAY: "pass", NEXT: "fail", AFTER: "pass"}
    monkeypatch.delenv(FAULTS)
    assert loaded.run("data", NEXT).success
    require_trusted(loaded.lake, "tiny", [DAY, NEXT, AFTER])


def test_rows_that_were_written_again_have_no_verdict(loaded: World) -> None:
    """As after a crash between the rows and their verdict: training refuses until the partition is judged again."""
    rows = loaded.lake.read("tiny/validated", ["2020-01-20"])
    loaded.lake.write("tiny/validated", rows.head(60), ["2020-01-20"])
    result = loaded.materialize("training_set", key="2020-01-23")
    assert "got 2020-01-20 (written again since its verdict), expected" in error_of(result)
    assert loaded.run("data", "2020-01-20").success
    assert loaded.materialize("training_set", key="2020-01-23").success


def test_rows_that_the_source_rejected_count_and_are_kept(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand in the quarantine beside the rows that broke a rule, and push a day beyond the limit with them."""
    monkeypatch.setenv(FAULTS, faults(few_bad_values=[DAY]))
    assert loaded.run("data", DAY).success
    unread = {"partition": DAY, "reason": "passengers: no number", "origin": "a.csv:17", "content": "{}"}
    loaded.lake.write("tiny/rejected", pl.DataFrame([unread] * 6), [DAY])
    result = loaded.materialize("validated", key=DAY)
    assert result.success
    assert len(loaded.lake.read("tiny/quarantine", [DAY])) == 12
    assert _metadata(loaded, result, "validated")[DAY]["rows_quarantined"] == 12
    loaded.lake.write("tiny/rejected", pl.DataFrame([unread] * 7), [DAY])
    result = loaded.materialize("validated", key=DAY)
    assert f"partition {DAY}: got 10.2% of rows quarantined, most often: passengers: no number" in error_of(result)


def test_a_check_shows_five_examples_of_what_it_found(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commonest reasons, each with a row."""
    monkeypatch.setenv(FAULTS, faults(few_bad_values=[DAY]))
    result = loaded.run("data", DAY)
    [shown] = [each for each in result.get_asset_check_evaluations() if each.check_name == "few_rows_quarantined"]
    table = shown.metadata["examples"]
    assert isinstance(table, dg.TableMetadataValue)
    [record] = table.records
    assert record.data["rows"] == 6
    assert str(record.data["reason"]).startswith("passengers: ")
    assert shown.metadata["share"].value == 6 / RIDES_A_DAY


def test_a_few_bad_rows_go_to_quarantine(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the rule that each broke; the rest goes on."""
    monkeypatch.setenv(FAULTS, faults(few_bad_values=[DAY]))
    result = loaded.run("data", DAY)
    assert result.success
    quarantined = loaded.lake.read("tiny/quarantine", [DAY])
    [(reason, count)] = Counter(quarantined["reason"]).items()
    assert reason.startswith("passengers: ")
    assert count == _metadata(loaded, result, "validated")[DAY]["rows_quarantined"] == 6
    assert len(loaded.lake.read("tiny/features", [DAY])) == RIDES_A_DAY - 6


@pytest.mark.filterwarnings("ignore:module 'sre_")  # great_expectations imports what Python deprecates
def test_an_expectation_is_a_check_of_each_partition(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It makes the verdict like the others, and shows what was unexpected."""
    kwargs = {"column": "passengers", "max_value": 100}
    suite = (Expectation("expect_few_passengers", "expect_column_values_to_be_between", kwargs, "error"),)
    changed = World(loaded.home, loaded.instance, definitions(replace(tiny(), suite=suite)))
    monkeypatch.setenv(FAULTS, faults(drifted=[NEXT]))
    result = changed.run("data", DAY, NEXT)
    assert result.success
    assert _evaluations(changed, result, "expect_few_passengers") == {DAY: True, NEXT: False, None: False}
    with pytest.raises(ContractError, match=rf"got {NEXT} \(expect_few_passengers: \d+ of 120 values unexpected\)"):
        require_trusted(loaded.lake, "tiny", [DAY, NEXT])


def test_a_partition_is_held_against_those_before(loaded: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By their stored verdicts and rows; a check that is to warn does not make the verdict."""
    quality = tiny().spec.quality.model_copy(
        update={"volume_change_at_most": 0.5, "new_categories_at_most": {"line": 0.0}, "warn": ["volume_is_usual"]}
    )
    pipeline = replace(tiny(), spec=tiny().spec.model_copy(update={"quality": quality}))
    changed = World(loaded.home, loaded.instance, definitions(pipeline))
    monkeypatch.setenv(FAULTS, faults(few_rows=[NEXT]))
    result = changed.run("data", DAY, NEXT)
    assert _evaluations(changed, result, "volume_is_usual") == {DAY: True, NEXT: False, None: False}
    assert _evaluations(changed, result, "categories_are_known") == {DAY: True, NEXT: True, None: True}
    checks = {each["name"]: each for each in read_verdicts(loaded.lake, "tiny", [NEXT])[NEXT].checks}
    assert checks["volume_is_usual"]["severity"] == "warn"
    assert checks["volume_is_usual"]["numbers"]["median"] == RIDES_A_DAY
