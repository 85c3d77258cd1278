"""An ensemble runs: members are versions of their own, the candidate joins exactly those, and is gated and served."""

from dataclasses import replace
from typing import Any

import dagster as dg
import polars as pl
import pytest

from ml_platform.contracts.spec import Model
from ml_platform.ledger import champion
from ml_platform.orchestration.refitting import read_fit
from ml_platform.registry.bundle import Bundle, open_bundle
from ml_platform.training.trainer import Trained
from ml_platform_tests.pipelines.ensembles import MODELS, OF, tiny_ensemble
from ml_platform_tests.pipelines.fixtures import as_pipeline
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.tiny.source import FAULTS
from ml_platform_tests.pipelines.world import (
    AS_OF,
    LATER,
    World,
    definitions,
    error_of,
    faults,
)

pytestmark = [pytest.mark.slow, *DAGSTER]

GATES = ["log_loss_at_most_0_68", "not_worse_than_champion", "beats_baselines"]
MEMBERS = [f"member_{name}" for name in OF]


def _bundle(world: World, name: str, version: int) -> Bundle:
    found = world.models.version(name, version)
    return open_bundle(world.models.bundle(found), found.digest)


def _report(world: World) -> str:
    """Give the one report in a home."""
    [place] = world.home.mlflow_artifacts.rglob("report.html")
    return place.read_text()


def test_members_are_versions_of_their_own_and_the_ensemble_is_promoted_as_one(stacked: World) -> None:
    """Three registered models; one is the champion, and its bundle names the digests of the others."""
    assert stacked.models.aliases("tiny") == {"champion": 1}
    present = champion(stacked.decisions())
    assert present is not None
    bundle = _bundle(stacked, "tiny", 1)
    assert (present.digest, bundle.manifest.kind) == (bundle.digest, "ensemble")
    members = {name: _bundle(stacked, f"tiny.{name}", 1) for name in OF}
    assert bundle.read_json("members.json") == {
        name: {"name": f"tiny.{name}", "digest": member.digest} for name, member in members.items()
    }
    for name, member in members.items():
        assert member.manifest.kind == MODELS[name]["kind"]
        assert stacked.models.aliases(f"tiny.{name}") == {}
    assert members["trees"].read_bytes("model.txt") == bundle.read_bytes("member_trees/model.txt")
    assert bundle.read_json("model.json")["members"]["linear"] == members["linear"].read_json("model.json")
    assert read_fit(bundle).models["trees"] == read_fit(members["trees"]).models["trees"]
    coefficients = bundle.read_json("model.json")["coefficients"]
    assert sorted(coefficients) == sorted(OF)
    assert min(coefficients.values()) >= 0
    assert sum(coefficients.values()) > 0.5


def test_the_stack_in_the_server_is_the_stack_offline(stacked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the real server, over HTTP, on 200 rows."""
    monkeypatch.setenv("ML_PLATFORM_SERVER", "http://127.0.0.1:9")
    served = replace(stacked, definitions=definitions(tiny_ensemble("stacked")))
    job = served.definitions.resolve_job_def("tiny_retrain")
    key = dg.AssetCheckKey(dg.AssetKey(["tiny", "endpoint"]), "serves_offline_predictions")
    result = served.execute(job.get_subset(asset_selection=set(), asset_check_selection={key}), AS_OF)
    [evaluation] = result.get_asset_check_evaluations()
    assert evaluation.passed
    assert evaluation.metadata["rows"].value == 200


def test_the_evaluation_shows_members_and_mlflow_their_metrics(stacked: World) -> None:
    """As models beside the candidate, but never as a rival of a gate."""
    evaluated = stacked.decisions("evaluated")[-1].payload
    shown = evaluated["metrics"]
    assert set(shown) == {"candidate", "prior", "last_value", *MEMBERS}
    assert {verdict["gate"] for verdict in evaluated["verdicts"]} == set(GATES)
    [run] = stacked.mlflow_runs()
    for name in OF:
        metrics = run.data.metrics
        assert metrics[f"{name}.holdout.log_loss"] == pytest.approx(shown[f"member_{name}"]["log_loss"], abs=1e-12)
        assert {f"{name}.validation.log_loss", f"{name}.validation_loss"} <= metrics.keys()
        for param, value in MODELS[name]["params"].items():
            assert run.data.params[f"{name}.{param}"] == str(value)
        assert run.data.params[f"model.{name}.coefficient"]
        assert stacked.models.version(f"tiny.{name}", 1).run_id == run.info.run_id
    assert run.info.status == "FINISHED"


def test_each_member_shows_itself_in_dagster(stacked: World) -> None:
    """Materialized alone it gives the version that is there; the candidate shows what it is made of."""
    result = stacked.materialize(*MEMBERS, "candidate", key=AS_OF)
    assert result.success
    for name in OF:
        [made] = result.asset_materializations_for_node(f"tiny__member_{name}")
        assert made.metadata["model/version"].value == 1
        assert 0 < float(str(made.metadata["holdout/log_loss"].value)) < 1
        assert f"tiny.{name}" in str(made.metadata["mlflow/version"].value)
    [made] = result.asset_materializations_for_node("tiny__candidate")
    assert (made.metadata["model/version"].value, made.metadata["ensemble"].value) == (1, "stacked")
    assert "tiny.trees v1" in str(made.metadata["members"].value)


def test_the_report_of_a_stack_tells_what_features_did_to_the_whole(stacked: World) -> None:
    """Its log odds are a sum of the members': one chart, and how much each counts."""
    report = _report(stacked)
    assert "The sum of what each feature did to the members, each times its coefficient (" in report
    assert "of member trees" not in report


def test_the_same_retrain_again_changes_nothing(stacked: World) -> None:
    """No second version of anything."""
    assert stacked.run("retrain", AS_OF).success
    assert stacked.promoted() == [1]
    assert {(each.pipeline, each.version) for each in stacked.models.registered()} == {
        ("tiny", 1), ("tiny.trees", 1), ("tiny.linear", 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "said"),
    [("few_bad_values", "on other rows"), ("drifted", "on a training set made from other tables or by other code")],
)
def test_a_candidate_takes_no_member_of_other_data(
    fault: str, said: str, stacked: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows went, or the same rows have other features: refused alone, and fine with members that are made again."""
    monkeypatch.setenv(FAULTS, faults(**{fault: ["2020-01-10"]}))
    assert stacked.run("data", "2020-01-10").success
    assert stacked.materialize("training_set", key=AS_OF).success
    refused = stacked.materialize("candidate", key=AS_OF)
    assert f"tiny.trees as of 2020-01-23: got a version fitted {said}, expected" in error_of(refused)
    assert "materialize member_trees for this partition, then candidate" in error_of(refused)
    assert stacked.materialize(*MEMBERS, "candidate", key=AS_OF).success
    assert stacked.models.version("tiny", 2).as_of == AS_OF


def test_a_candidate_takes_no_member_of_another_spec_and_finds_the_old_one_again(stacked: World) -> None:
    """With the old parameters back, the version that has them counts, though it is not the newest."""
    params = {**MODELS["trees"], "params": MODELS["trees"]["params"] | {"num_leaves": 9}}
    other = as_pipeline(stacked, tiny_ensemble("stacked", models={**MODELS, "trees": params}))
    refused = other.materialize("candidate", key=AS_OF)
    assert "tiny.trees as of 2020-01-23: got a version fitted with another spec" in error_of(refused)
    assert other.materialize("member_trees", "candidate", key=AS_OF).success
    assert [each.version for each in other.models.versions("tiny.trees", AS_OF)] == [2, 1]
    assert [each.version for each in other.models.versions("tiny.linear", AS_OF)] == [1]
    assert stacked.materialize("candidate", key=AS_OF).success
    assert [each.version for each in stacked.models.versions("tiny", AS_OF)] == [2, 1]


def test_a_candidate_without_its_members_is_refused(stacked: World) -> None:
    """None was fitted for the partition."""
    assert stacked.materialize("training_set", key=LATER).success
    refused = stacked.materialize("candidate", key=LATER)
    assert "tiny.trees as of 2020-01-28: got none, expected a registered version" in error_of(refused)
    assert [each.as_of for each in stacked.models.registered()] == [AS_OF] * 3


def test_a_member_that_fails_registers_nothing(stacked: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run ends there: no half member and no ensemble of the rest, and the champion stays."""
    from ml_platform.training import fitting

    fit = fitting.fit_model

    def fail(rows: pl.DataFrame, *, model: Model, **bound: Any) -> Trained:
        if model.kind == "linear":
            raise MemoryError("no memory left")
        return fit(rows, model=model, **bound)

    monkeypatch.setattr(fitting, "fit_model", fail)
    result = stacked.run("retrain", LATER)
    assert not result.success
    assert "no memory left" in error_of(result)
    assert {each.pipeline for each in stacked.models.registered() if each.as_of == LATER} <= {"tiny.trees"}
    assert stacked.promoted() == [1]
    assert {run.info.status for run in stacked.mlflow_runs()} == {"FINISHED", "FAILED"}


def test_a_damaged_members_bundle_is_refused(stacked: World) -> None:
    """In the cache it is fetched again; in the registry itself it is told."""
    artifacts = list(stacked.home.root.rglob("out_of_fold.arrow"))
    assert len(artifacts) == 2 * len(OF)  # the registry's and the cache's
    for path in artifacts:
        path.write_bytes(b"damaged")
    refused = stacked.materialize("candidate", key=AS_OF)
    assert "out_of_fold.arrow in bundle" in error_of(refused)
    assert [each.version for each in stacked.models.versions("tiny", AS_OF)] == [1]


@pytest.mark.parametrize("kind", ["average", "weighted", "best"])
def test_other_kinds_end_in_an_endpoint_too(kind: str, loaded: World) -> None:
    """And need no folds: their members hold no out-of-fold predictions."""
    split = tiny_ensemble(kind).spec.model_dump(mode="json")["split"] | {"folds": 0}
    world = as_pipeline(loaded, tiny_ensemble(kind, split=split))
    result = world.run("retrain", AS_OF)
    assert result.success, error_of(result)
    bundle = _bundle(world, "tiny", 1)
    assert sum(bundle.read_json("model.json")["coefficients"].values()) == pytest.approx(1)
    assert "out_of_fold.arrow" not in _bundle(world, "tiny.trees", 1).manifest.files
    report = _report(world)
    assert ("What each feature did to predictions of member trees" in report) == (kind != "best")
    assert ("A mean of probabilities is no sum over the features" in report) == (kind != "best")
    assert world.promoted() == [1]
