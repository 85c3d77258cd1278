"""What each feature added to an output adds up to the output, whatever the kind of model."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Ensemble, Model
from ml_platform.scoring import contributions as module
from ml_platform.scoring.contributions import contributions, member_contributions
from ml_platform.scoring.scorer import DESCRIPTION
from ml_platform.training.ensembles import join_members
from ml_platform.training.fitting import fit_model
from ml_platform.training.members import Member
from ml_platform.training.trainer import Trained

COLUMNS = ["carrier", "distance", "hour"]
ROWS = 600
KINDS: dict[str, dict[str, Any]] = {
    "lightgbm": {"kind": "lightgbm", "params": {"num_leaves": 7, "num_threads": 1}, "rounds": 20},
    "xgboost": {"kind": "xgboost", "params": {"nthread": 1}, "rounds": 20},
    "linear": {"kind": "linear"},
}


def _rows(task: Task) -> pl.DataFrame:
    rng = np.random.default_rng(3)
    carrier, distance = rng.choice(["ant", "bee", "cat"], ROWS), rng.uniform(0, 9, ROWS)
    score = distance / 3 + (carrier == "bee") + rng.normal(0, 0.5, ROWS)
    labels: dict[Task, Any] = {
        "binary": score > 2,
        "regression": score,
        "multiclass": np.select([score < 1.5, score < 2.5], ["low", "middle"], "high"),
    }
    features = {"carrier": carrier, "distance": distance, "hour": rng.uniform(0, 24, ROWS), "label": labels[task]}
    part = np.array(["train", "train", "train", "validation", "holdout"])[np.arange(ROWS) % 5]
    missing = pl.Series(rng.random(ROWS) < 0.1)
    return pl.DataFrame(features | {"part": part}).with_columns(
        distance=pl.when(~missing).then("distance"), day=pl.lit("2013-01-01")
    )


def _fitted(kind: str, task: Task) -> tuple[Trained, NDArray[np.float64]]:
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    rows = _rows(task)
    model = TypeAdapter[Any](Model).validate_python(KINDS[kind])
    trained = fit_model(rows, COLUMNS, model, task)
    return trained, trained.encoder.encode(rows.filter(pl.col("part") == "holdout"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_contributions_differ_as_outputs_do(kind: str, task: Task) -> None:
    """The sum of a row's contributions is its output, before the link, less one number that all rows share."""
    trained, matrix = _fitted(kind, task)
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    places, moved = found
    assert moved.shape == (len(matrix), len(COLUMNS))
    output = trained.scorer(matrix)[places]
    raw = np.log(output / (1 - output)) if task == "binary" else output
    rest = raw - moved.sum(axis=1)
    assert np.allclose(rest, rest[0], atol=1e-4)
    assert np.abs(moved).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_of_several_classes_the_said_one_is_explained(kind: str) -> None:
    """What is far raises the chance of what is said of far rows, and of near ones too: each has its own class."""
    trained, matrix = _fitted(kind, "multiclass")
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    assert found[1].shape == (len(matrix), len(COLUMNS))
    said = trained.scorer(matrix).argmax(axis=1)
    distance, moved = matrix[:, 1], found[1][:, 1]
    sure = np.isfinite(distance) & (trained.scorer(matrix).max(axis=1) > 0.8)
    assert len(set(said[sure])) > 1
    assert (moved[sure] > 0).mean() > 0.9


def test_a_large_model_explains_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Evenly chosen, the first and the last among them, and never fewer than a few."""
    trained, matrix = _fitted("lightgbm", "binary")
    monkeypatch.setattr(module, "LEAVES_AT_MOST", 1)
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    assert len(found[0]) == len(found[1]) == module.ROWS_AT_LEAST
    assert (found[0][0], found[0][-1]) == (0, len(matrix) - 1)


def test_a_kind_that_is_not_known_is_not_explained() -> None:
    assert contributions(lambda _: b'{"kind": "oracle"}', np.zeros((3, 2))) is None


def _joined(how: str, task: Task, **options: Any) -> tuple[Trained, NDArray[np.float64]]:
    """Give an ensemble of trees and a linear model, with the coefficients 0.5 and 0.25 if it is stacked."""
    rows, members = _rows(task), {}
    for name in ("lightgbm", "linear"):
        model = TypeAdapter[Any](Model).validate_python(KINDS[name] | options)
        members[name] = Member(fit_model(rows, COLUMNS, model, task))
    kind = "average" if how == "stacked" else how
    ensemble = Ensemble.model_validate({"kind": kind, "of": list(members)})
    joined = join_members(rows, members, ensemble, task)
    if how == "stacked":
        intercept = [0.3, -0.2, 0.1] if task == "multiclass" else 0.3
        told = json.loads(joined.files[DESCRIPTION]) | {
            "how": how, "coefficients": {"lightgbm": 0.5, "linear": 0.25}, "intercept": intercept,
        }  # fmt: skip
        joined = replace(joined, files=joined.files | {DESCRIPTION: json.dumps(told).encode()})
    return joined, joined.encoder.encode(rows.filter(pl.col("part") == "holdout"))


@pytest.mark.parametrize(
    ("how", "task"),
    [("stacked", "binary"), ("stacked", "regression"), ("average", "regression"), ("weighted", "regression"),
     ("best", "binary"), ("best", "regression")],
)  # fmt: skip
def test_contributions_of_an_ensemble_add_up_to_its_output(how: str, task: Task) -> None:
    """In log odds of a stack, in the label's unit of a mean of values; of the best member, its own."""
    trained, matrix = _joined(how, task)
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    places, moved = found
    output = trained.scorer(matrix)[places]
    raw = np.log(output / (1 - output)) if task == "binary" else output
    rest = raw - moved.sum(axis=1)
    assert np.allclose(rest, rest[0], atol=1e-4)
    assert np.abs(moved).max() > 0.1


def test_a_stack_of_classes_adds_up_the_scores_of_the_class_it_says() -> None:
    """A logarithm of shares is a score, less one number that all classes of a row share."""
    trained, matrix = _joined("stacked", "multiclass")
    found = contributions(trained.files.__getitem__, matrix)
    assert found is not None
    moved, expected = found[1], np.zeros_like(found[1])
    said = trained.scorer(matrix).argmax(axis=1)
    for name, coefficient in (("lightgbm", 0.5), ("linear", 0.25)):
        alone, _ = _fitted(name, "multiclass")
        loaded = module._KINDS[name](json.loads(alone.files[DESCRIPTION]), alone.files.__getitem__)
        assert loaded is not None
        of_class = loaded[0](matrix).reshape(len(matrix), 3, -1)
        expected += coefficient * of_class[np.arange(len(matrix)), said, :-1]
    assert np.allclose(moved, expected)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_mean_of_probabilities_is_told_member_by_member(task: Task) -> None:
    """It is no sum over the features, as a link stands between; each member is one before its own."""
    trained, matrix = _joined("average", task)
    assert contributions(trained.files.__getitem__, matrix) is None
    told = member_contributions(trained.files.__getitem__, matrix)
    assert list(told) == ["lightgbm", "linear"]
    for name, (places, moved) in told.items():
        alone, _ = _fitted(name, task)
        expected = contributions(alone.files.__getitem__, matrix)
        assert expected is not None
        assert np.array_equal(places, expected[0])
        assert np.array_equal(moved, expected[1])


def test_a_stack_on_calibrated_members_is_told_member_by_member() -> None:
    """What it adds up is not what the members' features add up to."""
    trained, matrix = _joined("stacked", "binary", calibration="platt")
    assert contributions(trained.files.__getitem__, matrix) is None
    assert set(member_contributions(trained.files.__getitem__, matrix)) == {"lightgbm", "linear"}


def test_a_member_that_does_not_count_is_not_told_of() -> None:
    """And a model by itself has no members."""
    trained, matrix = _joined("best", "binary")
    assert len(member_contributions(trained.files.__getitem__, matrix)) == 1
    alone, _ = _fitted("linear", "binary")
    assert member_contributions(alone.files.__getitem__, matrix) == {}
