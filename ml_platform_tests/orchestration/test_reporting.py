"""A retrain leaves a report and a card: in MLflow, at the version, and in the UI; with what the stores know by then."""

from dataclasses import replace
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.spec.models import Approval
from ml_platform.orchestration.judging import judge_candidate
from ml_platform.orchestration.report_facts import _drift, gather
from ml_platform.orchestration.training_rows import read_training_set
from ml_platform.registry.bundle import open_bundle
from ml_platform.validation.report import Facts, Item
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import LATER, InProcessTarget, World, definitions, error_of, tiny

pytestmark = [pytest.mark.slow, *DAGSTER]


def _facts(world: World, number: int) -> Facts:
    """Gather what a report of a version tells."""
    version = world.models.version("tiny", number)
    rows = read_training_set(tiny(), world.lake, version.as_of)
    judged = judge_candidate(tiny(), version, rows, world.lake, world.models, world.ledger)
    return gather(tiny(), judged, version, rows, world.lake, world.models, world.ledger.read("tiny"), {})


def _item(facts: Facts, what: str) -> Item:
    [found] = [item for item in facts.checklist if item.what == what]
    return found


def test_a_retrain_leaves_a_report_and_a_card(world: World) -> None:
    """Both are artifacts of the run; UI and version point there."""
    result = world.run("retrain", LATER)
    assert result.success, error_of(result)
    [shown] = [each.metadata for each in result.asset_materializations_for_node("tiny__evaluation")]
    place = Path(str(shown["report_file"].value))
    html, card = place.read_text(), (place.parent / "model_card.md").read_text()
    assert "champion v1" in html
    assert "# tiny, version 2" in card
    assert isinstance(shown["report"], dg.UrlMetadataValue)
    assert str(shown["report"].value).endswith("/artifacts/report.html")
    assert str(shown["model_card"].value) == card
    assert "✅ done | Every gate passed" in str(shown["checklist"].value)
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=world.home.mlflow_url)
    description = client.get_model_version("tiny", "2").description or ""
    page = str(shown["report"].value).removeprefix("http://127.0.0.1:5000/")  # read in the UI, wherever that is
    assert description.startswith(f"[Report]({page})")
    assert page.startswith("#/experiments/")
    assert "# tiny, version 2" in description
    assert len(description) <= 5000


def test_a_report_tells_of_data_features_champion_and_evidence(world: World) -> None:
    """From the stores, as plain values."""
    assert world.run("retrain", LATER).success
    facts = _facts(world, 2)
    assert set(facts.scores) == {"candidate", "champion"}
    assert [part.name for part in facts.parts] == ["train", "validation", "holdout"]
    assert facts.parts[-1].last < LATER
    assert sum(day.rows for day in facts.days) == sum(part.rows for part in facts.parts)
    assert facts.drift is not None
    assert {column.name for column in facts.drift} == set(tiny().spec.features.columns)
    [explained] = facts.explanations
    assert (explained.columns, explained.of, explained.note) == (tuple(tiny().spec.features.columns), "", "")
    assert facts.params["gbm.num_leaves"] == "7"
    assert facts.lineage["as of"] == LATER
    assert any("rounds" in note for note in facts.notes)
    states = {item.what: item.state for item in facts.checklist}
    assert states == {
        "Somebody owns it": "done",
        "Its data is trusted": "done",
        "Its rows keep their leakage certificate": "done",
        "It was compared with the champion": "done",
        "It was compared with trivial models": "done",
        "Every gate passed": "done",
        "The real server answers as offline": "not applicable",
        "It can be made again": "not done",
        "A person has approved it": "not applicable",
        "There is a version to go back to": "not applicable",  # it is the one that serves by now
        "It will be watched": "done",
    }


def test_the_first_version_has_no_champion_beside_it(world: World) -> None:
    """Nor drift."""
    facts = _facts(world, 1)
    assert set(facts.scores) == {"candidate"}
    assert facts.drift is None
    assert _item(facts, "It was compared with the champion").state == "not applicable"


def test_a_column_that_the_champion_had_and_is_no_more_is_told(world: World) -> None:
    """Or is of another type; the others are compared."""
    version = world.models.version("tiny", 1)
    rows = read_training_set(tiny(), world.lake, version.as_of)
    changed = rows.with_columns(pl.col("hour").cast(pl.String)).drop("crowding")
    champion = open_bundle(world.models.bundle(version), version.digest)
    columns, note = _drift(tiny(), changed, (version.as_of, champion))
    assert columns is not None
    assert {column.name for column in columns} == {"line", "passengers", "road_ice", "lines_stops"}
    assert not any(column.is_drifted for column in columns)
    assert note == "Columns of the champion that are no more, or of another type: crowding, hour."


def test_a_version_that_waits_says_how_to_let_it_serve(world: World) -> None:
    """In the report's banner and in the UI."""
    pipeline = replace(tiny(), spec=tiny().spec.model_copy(update={"approval": Approval(mode="manual")}))
    asked = replace(world, definitions=definitions(pipeline, target=InProcessTarget(world.home)))
    result = asked.run("retrain", LATER)
    [shown] = [each.metadata for each in result.asset_materializations_for_node("tiny__evaluation")]
    assert "ml-platform approve tiny 2 --by NAME" in str(shown["approval"].value)
    assert "❌ not done | A person has approved it" in str(shown["checklist"].value)
    assert "waits for an approval until" in Path(str(shown["report_file"].value)).read_text()


def test_a_version_that_failed_does_not_ask_for_an_approval(world: World) -> None:
    """It has a report all the same."""
    gate = tiny().spec.gates[0].model_copy(update={"at_most": 0.01})
    spec = tiny().spec.model_copy(update={"approval": Approval(mode="manual"), "gates": [gate]})
    asked = replace(world, definitions=definitions(replace(tiny(), spec=spec), target=InProcessTarget(world.home)))
    result = asked.run("retrain", LATER)
    assert not result.success
    [shown] = [each.metadata for each in result.asset_materializations_for_node("tiny__evaluation")]
    assert "approval" not in shown
    assert "Stopped by its gates" in Path(str(shown["report_file"].value)).read_text()
    assert Evaluation.model_validate(asked.decisions("evaluated")[-1].payload).outcome == "fail"
