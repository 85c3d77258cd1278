"""An ensemble of which one member is searched and the other is not: its study, its runs, its notes, its reuse."""

from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from ml_platform.registry.bundle import FIT, open_bundle
from ml_platform.training.studies import Best, Studies
from ml_platform_tests.pipelines.ensembles import MODELS, tiny_ensemble
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.searching import SPACE
from ml_platform_tests.pipelines.world import AS_OF, LATER, InProcessTarget, World, definitions, error_of

pytestmark = [pytest.mark.slow, *DAGSTER]

TREES: dict[str, Any] = {
    "kind": "lightgbm",
    "rounds": 20,
    "params": {"min_data_in_leaf": 20, "num_threads": 1},
    "search": {"trials": 3, "space": SPACE},
}


@pytest.fixture
def ensemble(loaded: World) -> World:
    """Give a world whose trees are searched."""
    pipeline = tiny_ensemble("weighted", models={**MODELS, "trees": TREES})
    return replace(loaded, definitions=definitions(pipeline, target=InProcessTarget(loaded.home)))


def _shown(result: dg.ExecuteInProcessResult, stage: str) -> dict[str, Any]:
    assert result.success, error_of(result)
    [made] = result.asset_materializations_for_node(f"tiny__{stage}")
    return {name: each.value for name, each in made.metadata.items() if name.startswith("search/")}


def _fit(world: World, name: str) -> dict[str, Any]:
    version = world.models.newest(name)
    assert version is not None
    return open_bundle(world.models.bundle(version), version.digest).read_json(FIT)


def _best(world: World, member: str) -> list[Best]:
    return list(Studies(world.home.studies_url).found("tiny", member, "9999-12-31"))


def test_one_member_is_searched_and_the_other_is_not(ensemble: World) -> None:
    """The study is the member's; each trial is a run under that of the retrain; the candidate tells of the search."""
    result = ensemble.run("retrain", AS_OF)
    shown = _shown(result, "member_trees")
    assert set(shown) == {
        f"search/trees{each}" for each in ("", "/best", "/resumed_trials", "/trials", "/history", "/importance")
    }
    assert _shown(result, "member_linear") == _shown(result, "candidate") == {}
    [best] = _best(ensemble, "trees")
    assert _best(ensemble, "linear") == []
    [parent] = [run for run in ensemble.mlflow_runs() if run.data.tags.get("dagster_run_id") == result.run_id]
    children = [run for run in ensemble.mlflow_runs() if "trial" in run.data.tags]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.data.tags["study"].rpartition("/")[0] for run in children} == {f"tiny/trees/{AS_OF}"}
    assert {run.data.tags["model"] for run in children} == {"trees"}
    assert len(children) == 3
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    assert parent.data.tags["search.trees"] == shown["search/trees"]
    assert "search.linear" not in parent.data.tags
    member, candidate = _fit(ensemble, "tiny.trees"), _fit(ensemble, "tiny")
    assert member["models"]["trees"]["params"] == TREES["params"] | best.params
    assert candidate["models"]["trees"] == member["models"]["trees"]
    assert candidate["notes"] == member["notes"] == [f"trees: {shown['search/trees']}"]
    assert _fit(ensemble, "tiny.linear")["notes"] == []
    assert ensemble.promoted() == [1]


def test_a_member_that_is_not_searched_this_time_takes_the_last_best_parameters_and_says_so(ensemble: World) -> None:
    assert ensemble.run("retrain", AS_OF).success
    [best] = _best(ensemble, "trees")
    never = {"ops": {"tiny__member_trees": {"config": {"search": "never"}}}}
    result = ensemble.run("retrain", LATER, run_config=never)
    told = f"no search: the best parameters of the study as of {AS_OF} (loss {best.loss:.6g})"
    assert _shown(result, "member_trees")["search/trees"].startswith(told)
    assert _fit(ensemble, "tiny.trees")["models"]["trees"]["params"] == TREES["params"] | best.params
    [note] = _fit(ensemble, "tiny")["notes"]
    assert note.startswith(f"trees: {told}")
    assert len([run for run in ensemble.mlflow_runs() if "trial" in run.data.tags]) == 3
