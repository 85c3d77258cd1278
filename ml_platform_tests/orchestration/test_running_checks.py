"""What a spec asks of machines and packages either works, or is refused when definitions load."""

import sys
from typing import Any

import pytest

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.running_checks import PACKAGES, running_faults
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import tiny

pytestmark = DAGSTER
DISTRIBUTED = {"engine": "ray", "workers": 2}


def _spec(**changes: Any) -> PipelineSpec:
    return PipelineSpec.model_validate(tiny().spec.model_dump(mode="json", by_alias=True) | changes)


def _told(spec: PipelineSpec) -> list[str]:
    return [f"{'.'.join(map(str, fault.location))}: {fault.got}. {fault.hint}" for fault in running_faults(spec)]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"training": {"executor": "ray"}},
        {"training": {"executor": "ray", "threads": 4}},
        {"training": {"executor": "local", "threads": 1}},
        {"training": {"threads": 4}},
        {"training": {"distributed": DISTRIBUTED}},
        {"training": {"executor": "ray", "distributed": DISTRIBUTED | {"engine": "dask", "threads": 2}}},
        {"tracking": ["wandb", "tensorboard"]},
    ],
)
def test_what_can_run_is_accepted(changes: dict[str, Any]) -> None:
    assert _told(_spec(**changes)) == []


@pytest.mark.parametrize(
    ("extra", "where", "changes"),
    [
        ("ray", "training.executor", {"training": {"executor": "ray"}}),
        ("ray", "training.distributed.engine", {"training": {"distributed": DISTRIBUTED}}),
        ("dask", "training.distributed.engine", {"training": {"distributed": DISTRIBUTED | {"engine": "dask"}}}),
        ("wandb", "tracking.0", {"tracking": ["wandb"]}),
        ("tensorboard", "tracking.0", {"tracking": ["tensorboard"]}),
    ],
)
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    extra: str, where: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = PACKAGES[extra]
    monkeypatch.delitem(sys.modules, package, raising=False)
    monkeypatch.setattr(sys, "path", [])
    told = f"{where}: {extra}, but no package {package}. pip install 'ml-platform[{extra}]'"
    assert _told(_spec(**changes)) == [told]


@pytest.mark.parametrize(
    ("models", "told"),
    [
        ({"line": {"kind": "linear"}}, ["training.distributed: it with a model of kind linear"]),
        (
            {"trees": {"kind": "lightgbm", "params": {"linear_tree": True}}},
            ["models.trees.params: linear_tree"],
        ),
        (
            {
                "trees": {
                    "kind": "lightgbm",
                    "search": {"trials": 2, "space": {"linear_tree": {"choices": [True, False]}}},
                }
            },
            ["models.trees.search: linear_tree"],
        ),
        ({"trees": {"kind": "lightgbm", "quantile": None, "monotone": {"hour": "increasing"}}}, []),
    ],
)
def test_only_one_lightgbm_is_trained_by_several_workers(models: dict[str, Any], told: list[str]) -> None:
    spec = _spec(models=models, training={"distributed": DISTRIBUTED})
    assert [each.partition(". ")[0] for each in _told(spec)] == told


def test_an_ensemble_is_not_trained_by_several_workers() -> None:
    models = {"one": {"kind": "lightgbm"}, "two": {"kind": "lightgbm"}}
    ensemble = {"kind": "average", "of": ["one", "two"]}
    [told] = _told(_spec(models=models, ensemble=ensemble, training={"distributed": DISTRIBUTED}))
    assert told.startswith("training.distributed: it with an ensemble")
