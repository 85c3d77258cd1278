"""Decisions as served beside those of offline: counted row by row, at the limit and on either side of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_platform.deployment.decided import other_decisions
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.bundles import PLAN, make_bundle

NEAR, CLEAR = 0.9e-9, 1.1e-9  # a served value may be 1e-9 off
SAME = {"mean": 0.0, "scale": 1.0, "coefficients": [0.0] * 3, "missing": [0.0] * 3}
SEVERAL = {
    "kind": "linear", "task": "multiclass", "link": "softmax", "intercepts": [0.0] * 3,
    "classes": ["early", "late", "on time"], "columns": [SAME] * len(PLAN.columns),
}  # fmt: skip


@pytest.fixture
def deciding(tmp_path: Path) -> Predictor:
    """Give a binary model that says yes from 0.5 on."""
    return Predictor.load(make_bundle(tmp_path / "b", decision__json=b'{"threshold": 0.5}'))


@pytest.fixture
def several(tmp_path: Path) -> Predictor:
    """Give a model of three classes."""
    return Predictor.load(make_bundle(tmp_path / "m", model__json=json.dumps(SEVERAL).encode()))


def _said(*decisions: object, threshold: float | None = 0.5) -> dict[str, Any]:
    return {"decisions": list(decisions), "threshold": threshold}


def test_rows_that_are_decided_otherwise_are_counted_over_all_answers(deciding: Predictor) -> None:
    offline = np.array([0.1, 0.5, 0.9, 0.2])
    assert other_decisions([_said(False, True), _said(True, False)], deciding, offline) == 0
    assert other_decisions([_said(False, True), _said(False, True)], deciding, offline) == 2


@pytest.mark.parametrize(("off", "count"), [(NEAR, 0), (-NEAR, 0), (CLEAR, 1), (-CLEAR, 1)])
def test_a_row_as_near_to_the_threshold_as_values_may_be_off_falls_either_way(
    deciding: Predictor, off: float, count: int
) -> None:
    answer = _said(not off > 0)
    assert other_decisions([answer], deciding, np.array([0.5 + off])) == count


@pytest.mark.parametrize(
    "answer",
    [{}, _said(True), _said(True, True, True), _said(True, True, threshold=0.4), {"decisions": [True, True]}],
)
def test_missing_decisions_and_another_threshold_are_other_decisions_of_all_rows(
    deciding: Predictor, answer: dict[str, Any]
) -> None:
    assert other_decisions([answer], deciding, np.array([0.9, 0.9])) == 2


def test_a_model_that_decides_nothing_is_not_asked(tmp_path: Path) -> None:
    """But a server that decides all the same is told."""
    predictor = Predictor.load(make_bundle(tmp_path / "b"))
    assert other_decisions([{"predictions": [0.1]}], predictor, np.array([0.1])) is None
    assert other_decisions([_said(True)], predictor, np.array([0.1])) == 1


@pytest.mark.parametrize(("lead", "count"), [(2 * NEAR, 0), (2 * CLEAR, 1)])
def test_of_several_classes_the_likeliest_is_the_decision(several: Predictor, lead: float, count: int) -> None:
    """Of two that are as near to each other as both values may be off, either may be said."""
    offline = np.array([[0.2, 0.7, 0.1], [0.1, 0.45, 0.45 + lead]])
    assert other_decisions([{"predictions": ["late", "on time"]}], several, offline) == 0
    assert other_decisions([{"predictions": ["late", "late"]}], several, offline) == count
    assert other_decisions([{"predictions": ["early", "on time"]}], several, offline) == 1
