"""A training set that leaks: its check is red, and no run trains on it, also one that looks at nothing else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import dagster as dg
import polars as pl
import pytest
import yaml

from ml_platform.contracts.records import LeakageCertificate
from ml_platform.contracts.spec import Split
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.tiny.source import FAULTS
from ml_platform_tests.pipelines.world import FOLDER, LAST, LATER, InProcessTarget, World, definitions, error_of, faults
from ml_platform_tests.pipelines.world import tiny as plain_tiny

pytestmark = [pytest.mark.slow, *DAGSTER]

JANUARY = [f"2020-01-{day:02d}" for day in range(1, 32)]
LEAK = "no_feature_tells_the_label"


def _check(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    [found] = [each for each in result.get_asset_check_evaluations() if each.check_name == "no_leakage"]
    return found


def _changed(world: World, pipeline: Pipeline) -> World:
    return replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home)))


def _split(world: World, **changed: Any) -> World:
    """Give the world in which the spec's split is another."""
    spec = plain_tiny().spec
    split = Split.model_validate(spec.split.model_dump(mode="json") | changed)
    return _changed(world, replace(plain_tiny(), spec=spec.model_copy(update={"split": split})))


def _training_set(result: dg.ExecuteInProcessResult) -> Mapping[str, Any]:
    [event] = result.asset_materializations_for_node("tiny__training_set")
    return {name: each.value for name, each in event.metadata.items()}


@pytest.fixture
def leaking(loaded: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world in which a late bus has two hundred passengers more."""
    monkeypatch.setenv(FAULTS, faults(leaking=JANUARY))
    assert loaded.run("data", "2020-01-06", LAST).success
    return loaded


def test_a_leak_stops_the_run_and_every_later_one(leaking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is trained, with the check in the run or without; once the data is mended, everything goes on."""
    result = leaking.run("retrain", LATER)
    assert not result.success
    check = _check(result)
    assert (check.passed, check.severity, check.partition) == (False, dg.AssetCheckSeverity.ERROR, LATER)
    assert check.metadata["violated"].value == LEAK
    assert f"| {LEAK} | violated | Alone each tells the label: passengers (" in str(check.metadata["certificate"].value)
    record = LeakageCertificate.model_validate(check.metadata["record"].value)
    assert [finding.name for finding in record.violated] == [LEAK]
    assert not [event for event in result.all_events if event.is_step_success]

    alone = leaking.materialize("candidate", key=LATER)
    assert not alone.success
    assert f"LeakageFound: tiny: training set as of {LATER}: got {LEAK}: Alone each tells the" in error_of(alone)
    assert "split.may_tell_label" in error_of(alone)
    assert leaking.models.newest("tiny") is None

    monkeypatch.delenv(FAULTS)
    assert leaking.run("data", "2020-01-06", LAST).success
    assert leaking.run("retrain", LATER).success
    assert leaking.promoted() == [1]


def test_a_leak_that_the_spec_allows_is_trained_on(leaking: World) -> None:
    """Its author has looked at it and says so, by the feature's name."""
    other = _split(leaking, may_tell_label=["crowding"])
    assert not _check(other.materialize("training_set", key=LATER)).passed
    allowed = _split(leaking, may_tell_label=["passengers"])
    assert _check(allowed.materialize("training_set", key=LATER)).passed
    assert allowed.materialize("candidate", key=LATER).success


def test_a_training_set_of_another_split_is_not_trained_on(loaded: World) -> None:
    """Its holdout was longer: rows that now are to be fitted were cut for judging."""
    assert _split(loaded, holdout="8d").materialize("training_set", key=LATER).success
    result = loaded.materialize("candidate", key=LATER)
    assert not result.success
    assert "rows_lie_in_the_window_of_their_part" in error_of(result)


def test_an_honest_set_shows_its_folds_and_its_certificate(loaded: World) -> None:
    """Rows of each fold in its metadata, each finding as a line of a table."""
    result = _split(loaded, folds=2, label_delay="1d").materialize("training_set", key=LATER)
    assert result.success
    metadata = _training_set(result)
    assert metadata["fold_1_train_rows"] == pytest.approx(120 * 11, abs=5)
    assert metadata["fold_2_train_rows"] == metadata["train/rows"]
    assert metadata["fold_2_validation_rows"] == metadata["validation/rows"]
    assert metadata["partitions_without_rows"] == "none"
    assert _check(result).description == "8 of 8 findings hold."
    table = str(_check(result).metadata["certificate"].value)
    assert table.count("| ok |") == 8
    rows = loaded.lake.read("tiny/training_set", [LATER])
    assert sorted(rows.filter(pl.col("part") == "holdout")["day"].unique()) == JANUARY[21:26]


def test_a_stratified_set_ends_in_a_champion(loaded: World) -> None:
    """Each part has the label's share, and the retrain goes its way."""
    result = _split(loaded, kind="stratified").run("retrain", LATER)
    assert result.success
    assert loaded.promoted() == [1]
    metadata = _training_set(result)
    shares = [metadata[f"{part}/positive_share"] for part in ("train", "validation", "holdout")]
    assert max(shares) - min(shares) < 0.005


def test_groups_may_be_named_by_a_column_that_is_no_feature(loaded: World) -> None:
    """The line is read with the labels, stands in the training set, and each line lies in one part."""
    attributes = yaml.safe_load((FOLDER / "defs.yaml").read_text())["attributes"]
    del attributes["features"]["python"]
    attributes["features"]["columns"] = ["passengers", "road_ice"]
    lengths = {"train": "2d", "train_at_least": "1d", "validation": "4d", "holdout": "9d"}
    attributes["split"] = {"kind": "grouped", "by": "line", **lengths}
    attributes["name"] = "grouped"
    pipeline = resolve(attributes, FOLDER / "defs.yaml", "ml_platform_tests.pipelines.tiny")
    world = _changed(loaded, pipeline)
    assert world.execute(world.definitions.resolve_job_def("grouped_data"), "2020-01-10", LAST).success
    key = dg.AssetKey(["grouped", "training_set"])
    job = world.definitions.resolve_implicit_global_asset_job_def()
    assert world.execute(job, LATER, asset_selection=[key]).success
    rows = loaded.lake.read("grouped/training_set", [LATER])
    assert dict(rows.group_by("line").agg(pl.col("part").unique().sort().str.join("+")).iter_rows()) == {
        "u1": "validation",
        "u2": "train",
        "u3": "holdout",
    }
