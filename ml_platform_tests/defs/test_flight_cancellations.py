"""Will a flight be cancelled: rare positives in weekly partitions, from the source to the endpoint, by YAML alone."""

from collections.abc import Iterator
from datetime import timedelta

import polars as pl
import pytest

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.data.splits.cut import parted
from ml_platform_tests.pipelines.marks import QUIET
from ml_platform_tests.pipelines.shipped import deployed, evaluation_of, folder_of, metadata_of, served, shipped
from ml_platform_tests.pipelines.world import World

pytestmark = [pytest.mark.slow, *QUIET]

NAME = "flight_cancellations"
WEEKS, AS_OF = ("2013-01-01", "2013-03-26"), "2013-04-02"  # thirteen of them, from Tuesday to Tuesday


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the pipeline with a champion as of the beginning of April."""
    with deployed(NAME, tmp_path_factory.mktemp(NAME), WEEKS, AS_OF) as world:
        yield world


@pytest.fixture(scope="module")
def evaluation(world: World) -> Evaluation:
    """Give what was measured."""
    return evaluation_of(world)


def test_there_is_no_python_beside_the_yaml() -> None:
    """The frozen schema is the only other file."""
    assert sorted(path.name for path in folder_of(NAME).iterdir()) == ["defs.yaml", "schema.yaml"]


def test_every_gate_passes(evaluation: Evaluation) -> None:
    """On two weeks of flights."""
    assert {verdict.gate: verdict.outcome for verdict in evaluation.verdicts} == {
        "average_precision_beats_baselines": "pass",
        "not_worse_than_champion": "pass",
        "log_loss_beats_baselines": "pass",
        "log_loss_at_most_0_25": "pass",
    }
    assert evaluation.rows > 10_000


def test_rare_cancellations_are_found(evaluation: Evaluation) -> None:
    """Several times as precisely as by chance; not so well that the model must have seen the future."""
    candidate, prior = evaluation.metrics["candidate"], evaluation.metrics["prior"]
    assert 0.01 < prior["average_precision"] < 0.06
    assert candidate["average_precision"] > 2.5 * prior["average_precision"]
    assert 0.75 < candidate["roc_auc"] < 0.95
    assert candidate["log_loss"] < prior["log_loss"] - 0.008


def test_partitions_are_weeks(world: World) -> None:
    """Of seven days each, Tuesday first, also the one of 167 hours; nothing else is in them."""
    rows = world.lake.read(f"{NAME}/validated")
    calendar = shipped(NAME).calendar
    assert rows["partition"].unique().sort().to_list() == calendar.keys_before(AS_OF, timedelta(weeks=13))
    for (key,), week in rows.partition_by("partition", as_dict=True).items():
        window = calendar.window([str(key)])
        assert week["scheduled_departure"].is_between(window.start, window.end, closed="left").all()
    assert calendar.window(["2013-03-05"]).end - calendar.window(["2013-03-05"]).start == timedelta(hours=167)


def test_the_label_is_derived_and_a_diverted_flight_was_not_cancelled(world: World) -> None:
    """Of thirteen weeks; a cancellation is known a day after the departure that did not come."""
    rows = parted(world.lake.read(f"{NAME}/training_set", [AS_OF]))
    share = rows["label"].to_numpy().mean()
    assert 0.02 < share < 0.04
    assert (rows["label_known_at"] - rows["scheduled_departure"]).unique().to_list() == [timedelta(days=1)]
    weeks = rows.group_by("part").agg(pl.col("day").n_unique())
    assert dict(weeks.iter_rows()) == {"train": 9, "validation": 2, "holdout": 2}
    assert metadata_of(world, "training_set")["partitions_without_rows"] == "none"


def test_the_endpoint_warns_before_a_storm(world: World) -> None:
    """The blizzard of 8 February 2013: the served chance is that of another day many times over."""
    flights = world.lake.read(f"{NAME}/validated", ["2013-02-05", "2013-02-19"])
    day = flights["scheduled_departure"].dt.convert_time_zone("America/New_York").dt.date().cast(pl.String)
    stormy, calm = (
        served(world, flights.filter(day == each).sort("scheduled_departure").tail(300))
        for each in ("2013-02-08", "2013-02-20")
    )
    assert all(0 <= chance <= 1 for chance in [*stormy, *calm])
    assert sum(stormy) > 5 * sum(calm)
