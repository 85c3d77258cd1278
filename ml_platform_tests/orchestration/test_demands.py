"""What a verdict must have been given on: it changes with whatever the verdict hangs on, and with nothing else."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.evaluations import Demand
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.demands import demands, own_metrics
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import tiny

pytestmark = DAGSTER

LOG_LOSS, COST, F1, OWN, SERVED = "log_loss", "cost", "f1", "lost", "served"
GATES: list[dict[str, Any]] = [
    {"metric": "log_loss", "at_most": 0.6},
    {"metric": "cost", "at_most": 2},
    {"metric": "f1", "versus": "baseline", "better_by": 0.1},
    {"metric": "lost", "at_most": 7},
    {"kind": "served", "p95_ms": 20},
]
COSTS = {"false_positive": 1, "false_negative": 5}
CODE = "def lost(labels, predictions):\n    return 1.0\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the folder of a pipeline that can be imported, with a metric of its author's."""
    folder = tmp_path / "with_metrics"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "money.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("with_metrics", "with_metrics.money"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    importlib.invalidate_caches()
    return folder


def _spec(**changed: Any) -> PipelineSpec:
    spec = tiny().spec.model_dump(mode="json", by_alias=True)
    own = {"lost": {"function": ".money.lost", "better": "lower"}}
    return PipelineSpec.model_validate(
        spec | {"gates": GATES, "decide": {"costs": COSTS}, "metrics": own} | changed,
    )


def _demanded(own: dict[str, Callable[..., Any]], **changed: Any) -> dict[str, Demand]:
    found = demands(_spec(**changed), own)
    names = (LOG_LOSS, COST, F1, OWN, SERVED)
    return dict(zip(names, found.values(), strict=True))


def _changed(before: dict[str, Demand], after: dict[str, Demand]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_the_same_spec_and_code_demand_the_same(package: Path) -> None:
    own = own_metrics(_spec(), package.name)
    found = _demanded(own)
    assert found == _demanded(own)
    assert [each.bound for each in found.values()] == [0.6, 2, 0.1, 7, 20]
    assert len({each.basis for each in found.values()}) == len(found)


@pytest.mark.parametrize(
    "decide",
    [
        {"costs": COSTS | {"false_negative": 6}},
        {"costs": COSTS | {"true_positive": -1}},
        {"costs": COSTS, "best": "f1"},
        {"costs": COSTS, "threshold": 0.3},
    ],
)
def test_other_costs_ask_for_new_verdicts_on_decisions_alone(package: Path, decide: dict[str, Any]) -> None:
    own = own_metrics(_spec(), package.name)
    assert _changed(_demanded(own), _demanded(own, decide=decide)) == {COST, F1}


def test_an_edited_function_asks_for_a_new_verdict_on_its_metric_alone(package: Path) -> None:
    own = own_metrics(_spec(), package.name)
    before = _demanded(own)
    (package / "money.py").write_text(CODE.replace("1.0", "2.0"))
    assert _changed(before, _demanded(own)) == {OWN}
    (package / "money.py").write_text(CODE)
    assert _demanded(own) == before


def test_a_metric_that_turns_round_asks_for_a_new_verdict(package: Path) -> None:
    own = own_metrics(_spec(), package.name)
    turned = {"lost": {"function": ".money.lost", "better": "higher"}}
    assert _changed(_demanded(own), _demanded(own, metrics=turned)) == {OWN}


def test_a_feature_that_may_tell_the_label_asks_the_plausible_gate_again(package: Path) -> None:
    own = own_metrics(_spec(), package.name)
    gates, split = [{"kind": "plausible", "metric": "roc_auc"}], tiny().spec.split.model_dump(mode="json")
    may = [split | {"may_tell_label": names} for names in (["hour"], ["line", "hour"], ["hour", "line"])]
    one, two, same = (demands(_spec(gates=gates, split=each), own) for each in may)
    assert one != two
    assert two == same


def test_a_setting_that_does_not_stand_in_a_gates_name_counts_too(package: Path) -> None:
    """Here how many rows the served gate compares."""
    own = own_metrics(_spec(), package.name)
    gates = [*GATES[:-1], GATES[-1] | {"rows": 500}]
    assert list(demands(_spec(gates=gates), own)) == list(demands(_spec(), own))
    assert _changed(_demanded(own), _demanded(own, gates=gates)) == {SERVED}


@pytest.mark.parametrize(
    "changed",
    [
        {"description": "Other words."},
        {"owners": ["team:others"]},
        {"approval": "manual"},
        {"monitoring": {"window": "9d"}},
        {"gates": [GATES[0] | {"kind": "metric"}, *GATES[1:]]},
        {"gates": [GATES[0] | {"name": "sound"}, *GATES[1:]]},
    ],
)
def test_what_no_verdict_hangs_on_leaves_all_of_them_alone(package: Path, changed: dict[str, Any]) -> None:
    own = own_metrics(_spec(), package.name)
    assert _changed(_demanded(own), _demanded(own, **changed)) == set()


def test_a_metric_that_cannot_be_imported_is_named(package: Path) -> None:
    (package / "money.py").write_text("raise OSError('no money')\n")
    with pytest.raises(SpecError, match=r"metrics\.lost\.function: got \.money\.lost \(OSError: no money\)"):
        own_metrics(_spec(), package.name)
