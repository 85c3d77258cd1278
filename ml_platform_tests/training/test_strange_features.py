"""Features with strange names, without values, or infinite: trained on under every kind, or refused by name."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from pydantic import TypeAdapter

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import Model
from ml_platform.features.encoding import Encoder
from ml_platform.scoring.contributions import contributions
from ml_platform.scoring.scorer import load_scorer
from ml_platform.training.boosting import internal_names
from ml_platform.training.fitting import fit_model
from ml_platform.training.trainer import Trained
from ml_platform_tests.training.rows import COLUMNS, IS_HOLDOUT, binary_rows, class_rows, number_rows

KINDS: dict[str, dict[str, Any]] = {
    "lightgbm": {"kind": "lightgbm", "rounds": 20, "params": {"num_leaves": 7, "min_data_in_leaf": 10}},
    "linear": {"kind": "linear"},
    "xgboost": {"kind": "xgboost", "rounds": 20},
}
ROWS: dict[Task, pl.DataFrame] = {"binary": binary_rows(), "multiclass": class_rows(), "regression": number_rows()}
LETTERS = list("ab01_ .,:;[]{}()<>\"'`\\/|=%$#&*+-?!~^@é漢\t\n")


def _fit(kind: str, rows: pl.DataFrame, columns: list[str], task: Task = "binary", **more: Any) -> Trained:
    if kind == "xgboost":
        pytest.importorskip("xgboost")
    model: Model = TypeAdapter(Model).validate_python(KINDS[kind] | more)
    return fit_model(rows, columns, model, task)


def _names(seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    names: dict[str, None] = {}
    while len(names) < len(COLUMNS):
        names["".join(rng.choice(LETTERS, rng.integers(1, 9)))] = None
    return list(names)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", KINDS)
def test_any_name_trains_the_same_model(kind: str, seed: int) -> None:
    """Predictions, importance and contributions are those of plain names, under the users' own."""
    names = _names(seed)
    columns = dict(zip(COLUMNS, names, strict=True))
    plain, strange = _fit(kind, ROWS["binary"], COLUMNS), _fit(kind, ROWS["binary"].rename(columns), names)
    assert strange.importance == {columns[name]: gain for name, gain in plain.importance.items()}
    assert set(strange.encoder.columns) == set(names)
    asked = ROWS["binary"].filter(IS_HOLDOUT)
    renamed = asked.rename(columns)
    np.testing.assert_array_equal(strange.predict(renamed), plain.predict(asked))
    loaded = load_scorer(strange.files.__getitem__)
    np.testing.assert_array_equal(loaded(strange.encoder.encode(renamed)), plain.predict(asked))
    shares = [contributions(each.files.__getitem__, plain.encoder.encode(asked)) for each in (plain, strange)]
    assert shares[0] is not None
    np.testing.assert_array_equal(shares[0][1], shares[1][1])  # type: ignore[index]


@pytest.mark.parametrize("name", ["a[b", "a b", "a:b", 'a"b', "a,b", "a{b}", "a\nb", ""])
def test_internal_names_are_all_replaced_together(name: str) -> None:
    """So that none can meet a user's column that is called like one of them; plain ones stay as they are."""
    assert internal_names(["f1", name, "x"]) == ["f0", "f1", "f2"]
    assert internal_names(["f1", "x_2", "y.z-1", "größe"]) == ["f1", "x_2", "y.z-1", "größe"]


def test_a_model_that_was_stored_under_its_users_names_still_loads() -> None:
    """Scores go by place: a bundle of before has the names in its text."""
    trained = _fit("lightgbm", ROWS["binary"], COLUMNS)
    text = trained.files["model.txt"].decode()
    assert f"feature_names={' '.join(COLUMNS)}" in text
    renamed = text.replace(f"feature_names={' '.join(COLUMNS)}", "feature_names=a_b wie_heißt c=d e<f").encode()
    matrix = trained.encoder.encode(ROWS["binary"].filter(IS_HOLDOUT))
    np.testing.assert_array_equal(
        load_scorer({**trained.files, "model.txt": renamed}.__getitem__)(matrix), trained.scorer(matrix)
    )


@pytest.mark.parametrize("task", ROWS)
@pytest.mark.parametrize("name", ["hour", "carrier", "is_wet"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_feature_is_no_information(kind: str, name: str, task: Task) -> None:
    """Whatever stands in it later changes no prediction; the fit says so, by name."""
    empty = pl.when(pl.col("part") != "train").then(name).alias(name)
    trained = _fit(kind, ROWS[task].with_columns(empty), COLUMNS, task)
    assert [note for note in trained.warnings if f"No training row has a value of {name}:" in note]
    assert trained.importance[name] == pytest.approx(0, abs=1e-9)
    asked = ROWS[task].filter(IS_HOLDOUT)
    bare = asked.with_columns(pl.lit(None, asked.schema[name]).alias(name))
    np.testing.assert_array_equal(trained.predict(asked), trained.predict(bare))
    assert trained.predict(asked).std() > 0


@pytest.mark.parametrize("part", ["train", "validation"])
@pytest.mark.parametrize("kind", ["linear", "xgboost"])
def test_an_infinite_feature_is_refused_by_name(kind: str, part: str) -> None:
    """With the number of its rows; trees of LightGBM take it."""
    is_infinite = (pl.col("part") == part) & (pl.col("noise") > 2)
    rows = ROWS["binary"].with_columns(hour=pl.when(is_infinite).then(-np.inf).otherwise("hour"))
    count = len(rows.filter(is_infinite))
    said = rf"features: got infinite values: hour in {count} rows, expected finite numbers with kind: {kind}"
    with pytest.raises(ContractError, match=said):
        _fit(kind, rows, COLUMNS)
    assert np.isfinite(_fit("lightgbm", rows, COLUMNS).predict(rows)).all()


def test_an_encoder_keeps_strange_names() -> None:
    names = _names(1)
    encoder = Encoder.fit(ROWS["binary"].rename(dict(zip(COLUMNS, names, strict=True))), names)
    assert Encoder.from_json(encoder.to_json()) == encoder
