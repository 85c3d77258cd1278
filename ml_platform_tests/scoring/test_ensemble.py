"""An ensemble scores: from the files of its members to one prediction a row."""

import json
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from ml_platform.contracts.errors import RegistryError
from ml_platform.scoring.ensemble import load_members
from ml_platform.scoring.scorer import FloatArray, load_scorer

RNG = np.random.default_rng(0)
MATRIX: FloatArray = RNG.normal(size=(200, 3))
NAMES = ["a", "b"]


def _text(seed: int) -> bytes:
    data = lgb.Dataset(MATRIX, (MATRIX[:, seed] + RNG.normal(size=200) > 0).astype(float))
    params = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1}
    return lgb.train(params, data, num_boost_round=5).model_to_string().encode()


TEXTS = {f"member_{name}/model.txt": _text(place) for place, name in enumerate(NAMES)}


def _files(**description: Any) -> dict[str, bytes]:
    members = {name: {"kind": "lightgbm", "task": "binary", "file": "model.txt"} for name in NAMES}
    told = {"kind": "ensemble", "task": "binary", "members": members} | description
    return {**TEXTS, "model.json": json.dumps(told).encode()}


def _alone(files: dict[str, bytes]) -> dict[str, FloatArray]:
    members = load_members(json.loads(files["model.json"]), files.__getitem__)
    return {name: scorer(MATRIX) for name, scorer in members.items()}


def test_a_weighted_ensemble_is_the_weighted_mean() -> None:
    files = _files(how="weighted", coefficients={"a": 0.25, "b": 0.75})
    alone = _alone(files)
    assert load_scorer(files.__getitem__)(MATRIX) == pytest.approx(0.25 * alone["a"] + 0.75 * alone["b"], abs=1e-15)


def test_a_stack_is_linear_in_the_log_odds() -> None:
    files = _files(how="stacked", coefficients={"a": 0.5, "b": 1.2}, intercept=-0.3)
    odds = {name: np.log(each / (1 - each)) for name, each in _alone(files).items()}
    expected = 1 / (1 + np.exp(0.3 - 0.5 * odds["a"] - 1.2 * odds["b"]))
    assert load_scorer(files.__getitem__)(MATRIX) == pytest.approx(expected, abs=1e-12)


def test_a_row_is_scored_the_same_alone_and_among_others() -> None:
    files = _files(how="stacked", coefficients={"a": 0.5, "b": 1.2}, intercept=-0.3)
    score = load_scorer(files.__getitem__)
    assert np.concatenate([score(MATRIX[[place]]) for place in range(200)]).tolist() == score(MATRIX).tolist()


def test_the_order_in_which_members_are_named_changes_nothing() -> None:
    """Not by a bit, though sums of floats depend on their order."""
    names = {"how": "stacked", "intercept": 0.1}
    first = load_scorer(_files(**names, coefficients={"a": 0.3, "b": 0.9}).__getitem__)(MATRIX)
    second = load_scorer(_files(**names, coefficients={"b": 0.9, "a": 0.3}).__getitem__)(MATRIX)
    assert first.tolist() == second.tolist()


def test_a_member_that_does_not_count_is_not_loaded() -> None:
    """It costs a server nothing."""
    files = _files(how="best", coefficients={"a": 1.0, "b": 0.0})
    del files["member_b/model.txt"]
    assert load_scorer(files.__getitem__)(MATRIX).tolist() == _alone(_files(how="best"))["a"].tolist()


def test_a_member_of_a_kind_that_nobody_knows_is_refused() -> None:
    files = _files(how="best", coefficients={"a": 1.0}, members={"a": {"kind": "oracle"}})
    with pytest.raises(RegistryError, match="got kind oracle, expected one of lightgbm"):
        load_scorer(files.__getitem__)
