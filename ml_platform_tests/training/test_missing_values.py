"""Missing values and unseen words, answered by every kind of model as training can bear out."""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Ensemble, LightGBMModel, LinearModel, XGBoostModel
from ml_platform.contracts.spec.models import Model
from ml_platform.training.ensembles import join_members
from ml_platform.training.fitting import fit_model
from ml_platform.training.members import Member
from ml_platform.training.trainer import Trained

SIZES = {"train": 1500, "validation": 500}
COLUMNS = ["temperature", "passengers", "is_wet", "carrier", "sparse"]
ROUNDS, PATIENCE = 60, 20
Answer = Callable[[object], float]
needs_xgboost = pytest.mark.skipif(find_spec("xgboost") is None, reason="XGBoost is an extra")
KINDS = ["lightgbm", "linear", pytest.param("xgboost", marks=needs_xgboost), "ensemble"]


def _rows(seed: int, task: Task) -> pl.DataFrame:
    """Draw rows whose label depends on every column; only `sparse` has gaps, and word `a` is the extreme one."""
    rng = np.random.default_rng(seed)
    count = sum(SIZES.values())
    words = np.array(list("abcdefgh")[: 3 + seed % 6])
    effects = np.sort(rng.normal(size=len(words)))
    effects[0] -= 2
    place = rng.choice(len(words), count, p=_shares(len(words)))
    temperature, passengers = rng.normal(288, 9, count), rng.integers(20, 90, count)
    is_wet = rng.random(count) < 0.7
    score = (temperature - 288) / 6 + (passengers - 55) / 15 + effects[place] + 1.5 * is_wet - 1
    value = score + rng.logistic(size=count)
    labels = {"binary": value > 0, "regression": 10 * value, "multiclass": np.digitize(value, [-1, 1])}
    sparse = pl.Series(rng.normal(size=count)).set(pl.Series(rng.random(count) < 0.2), None)
    return pl.DataFrame(
        {
            "temperature": temperature, "passengers": passengers, "is_wet": is_wet, "carrier": words[place],
            "sparse": sparse, "label": labels[task], "part": np.repeat(list(SIZES), list(SIZES.values())),
            "day": "2013-01-01",
        }
    )  # fmt: skip


def _shares(words: int) -> list[float]:
    """Give each word a share of the rows; the last is the most frequent, the first has enough to be learnt."""
    shares = np.arange(1, words + 1) + 1.0
    return (shares / shares.sum()).tolist()


@lru_cache(maxsize=64)
def _fitted(kind: str, task: Task, seed: int) -> tuple[Trained, pl.DataFrame]:
    rows = _rows(seed, task)
    if kind != "ensemble":
        return fit_model(rows, COLUMNS, _model(kind), task), rows
    members = {name: Member(fit_model(rows, COLUMNS, _model(name), task)) for name in ("lightgbm", "linear")}
    return join_members(rows, members, Ensemble(kind="average", of=list(members)), task), rows


def _model(kind: str) -> Model:
    match kind:
        case "lightgbm":
            return LightGBMModel(kind="lightgbm", rounds=ROUNDS, patience=PATIENCE)
        case "xgboost":
            return XGBoostModel(kind="xgboost", rounds=ROUNDS, patience=PATIENCE)
        case _:
            return LinearModel(kind="linear")


def _answers(trained: Trained, rows: pl.DataFrame, column: str) -> Answer:
    """Return the mean answer to one value of a column, over some rows; of classes that of the last."""
    asked = rows.tail(40)

    def answer(value: object) -> float:
        changed = asked.with_columns(pl.Series(column, [value] * len(asked), dtype=rows.schema[column]))
        predictions = trained.predict(changed)
        return float((predictions if predictions.ndim == 1 else predictions[:, -1]).mean())

    return answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
@pytest.mark.parametrize("column", ["temperature", "passengers", "is_wet", "carrier"])
def test_a_missing_value_is_answered_within_what_was_met(kind: str, task: Task, column: str) -> None:
    """Within the answers over the feature's 10 to 90 % range, and not as 0 or the first word of the alphabet."""
    for seed in range(2):
        trained, rows = _fitted(kind, task, seed)
        answer = _answers(trained, rows, column)
        train = rows.filter(pl.col("part") == "train")[column]
        sorted_values = train.sort()
        if column in ("temperature", "passengers"):
            met, zero = [answer(sorted_values[len(sorted_values) * at // 10]) for at in range(1, 10)], answer(0)
        else:
            met, zero = [answer(value) for value in train.unique()], answer(train.unique().sort()[0])
        missing = answer(None)
        assert min(met) - 1e-9 <= missing <= max(met) + 1e-9
        assert missing != zero


@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_with_gaps_in_training_keeps_them(kind: str) -> None:
    """There the model has learnt what a missing value means."""
    trained, rows = _fitted(kind, "binary", 0)
    assert set(trained.encoder.fills) == set(COLUMNS) - {"sparse"}
    assert np.isnan(trained.encoder.encode(rows)[:, -1]).sum() == rows["sparse"].null_count()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", ["binary", "regression", "multiclass"])
def test_an_unseen_word_is_answered_between_those_that_were_seen(kind: str, task: Task) -> None:
    """Not as the first of the alphabet, and not beyond all of them."""
    for seed in range(6):
        trained, rows = _fitted(kind, task, seed)
        answer = _answers(trained, rows, "carrier")
        known = {word: answer(word) for word in trained.encoder.vocabularies["carrier"]}
        new = answer("new")
        slack = 0.05 * (max(known.values()) - min(known.values()))
        assert min(known.values()) - slack <= new <= max(known.values()) + slack
        assert new != known["a"]


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@needs_xgboost
def test_contributions_add_up_for_an_unseen_word(task: Task) -> None:
    """What moved the prediction is told of the word that stood in."""
    from ml_platform.scoring.contributions import contributions

    trained, rows = _fitted("xgboost", task, 1)
    asked = rows.tail(60).with_columns(carrier=pl.lit("new"))
    told = contributions(trained.files.__getitem__, trained.encoder.encode(asked))
    words = trained.encoder.vocabularies["carrier"]
    same = [
        contributions(trained.files.__getitem__, trained.encoder.encode(asked.with_columns(carrier=pl.lit(word))))
        for word in words
    ]
    assert told is not None
    assert any(each is not None and np.array_equal(each[1], told[1]) for each in same)
