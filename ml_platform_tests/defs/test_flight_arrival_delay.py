"""How late will a flight land: two regressions that answer as one, on real flights, by YAML alone."""

from collections.abc import Iterator

import polars as pl
import pytest

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.registry.bundle import open_bundle
from ml_platform_tests.pipelines.marks import QUIET
from ml_platform_tests.pipelines.shipped import deployed, evaluation_of, folder_of, metadata_of, served
from ml_platform_tests.pipelines.world import World

pytestmark = [pytest.mark.slow, *QUIET]

NAME, MEMBERS = "flight_arrival_delay", ["gbm", "line"]
DAYS, AS_OF = ("2013-01-29", "2013-03-14"), "2013-03-15"  # 31 of the days are for train


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give the pipeline with a champion as of the middle of March."""
    with deployed(NAME, tmp_path_factory.mktemp(NAME), DAYS, AS_OF) as world:
        yield world


@pytest.fixture(scope="module")
def evaluation(world: World) -> Evaluation:
    """Give what was measured."""
    return evaluation_of(world)


def test_there_is_no_python_beside_the_yaml() -> None:
    """The frozen schema is the only other file."""
    assert sorted(path.name for path in folder_of(NAME).iterdir()) == ["defs.yaml", "schema.yaml"]


def test_every_gate_passes(evaluation: Evaluation) -> None:
    """On every flight of a week that landed before the as-of."""
    assert {verdict.gate: verdict.outcome for verdict in evaluation.verdicts} == {
        "rmse_at_most_70_0": "pass",
        "beats_baselines": "pass",
        "rmse_not_worse_than_champion": "pass",
        "mae_not_worse_than_champion": "pass",
        "served_as_offline": "pass",
    }
    assert evaluation.rows > 5000


def test_the_candidate_was_served_before_it_was_promoted(evaluation: Evaluation) -> None:
    """On a server of its own, with the lookups and the past behind its rows: each value as offline."""
    served = evaluation.verdicts[-1]
    assert served.rows == 200
    assert served.sentence.startswith("200 rows differ from offline by at most 0;")
    assert served.value is not None


def test_the_model_knows_more_than_the_mean(evaluation: Evaluation) -> None:
    """By minutes; and not by so much that it must have seen the future: most of a delay comes out of the blue."""
    candidate, prior = evaluation.metrics["candidate"], evaluation.metrics["prior"]
    assert set(candidate) == {"rmse", "mae"}
    assert 0.5 * prior["rmse"] < candidate["rmse"] < prior["rmse"] - 2
    assert candidate["mae"] < prior["mae"] - 1


def test_two_models_answer_as_one_and_each_is_a_version_of_its_own(world: World, evaluation: Evaluation) -> None:
    """Their weights add up to 1; on the holdout the two together beat what they have alone, taken by these weights."""
    versions = {each.pipeline: each for each in world.models.registered()}
    assert set(versions) == {NAME, *(f"{NAME}.{name}" for name in MEMBERS)}
    bundle = open_bundle(world.models.bundle(versions[NAME]))
    weights = bundle.read_json("model.json")["coefficients"]
    assert list(weights) == MEMBERS
    assert sum(weights.values()) == pytest.approx(1)
    alone = {name: evaluation.metrics[f"member_{name}"]["rmse"] for name in MEMBERS}
    assert evaluation.metrics["candidate"]["rmse"] < sum(weights[name] * alone[name] for name in MEMBERS)


def test_the_training_set_is_in_minutes_and_says_so(world: World) -> None:
    """An early flight is below zero; one that was cancelled has no label, and so no row."""
    rows = world.lake.read(f"{NAME}/training_set", [AS_OF])
    labels = rows["label"].to_numpy()
    assert (labels.min() < -30, labels.max() > 300) == (True, True)
    validated = world.lake.read(f"{NAME}/validated", rows["day"].unique().to_list())
    assert 0 < validated["arrival_delay_minutes"].null_count() <= len(validated) - len(rows)
    shown = metadata_of(world, "training_set")
    train = rows.filter(pl.col("part") == "train")["label"].to_numpy()
    assert shown["train/label_mean"] == pytest.approx(train.mean())
    assert "train/positive_share" not in shown


def test_the_picture_is_that_of_a_regression(world: World) -> None:
    """Predicted and actual minutes; a calibration would have no meaning."""
    shown = metadata_of(world, "evaluation")
    assert shown["predicted_and_actual"].startswith("![predicted and actual](data:image/png;base64,")
    assert "calibration" not in shown


def test_the_endpoint_answers_in_minutes(world: World) -> None:
    """Not squeezed between 0 and 1: some flights are expected early, others late."""
    flights = world.lake.read(f"{NAME}/validated", [DAYS[1]])
    answers = served(world, flights)
    assert len(answers) == len(flights)
    assert (min(answers) < 0, max(answers) > 15) == (True, True)
