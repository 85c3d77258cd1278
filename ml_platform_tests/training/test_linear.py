"""The linear trainer: what is served, with numpy alone, is what scikit-learn predicts."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.metrics import Task
from ml_platform.contracts.spec import LinearModel
from ml_platform.training import linear
from ml_platform.training.fitting import fit_model
from ml_platform.training.parts import prepare
from ml_platform.training.trainer import Trained
from ml_platform_tests.training.rows import COLUMNS, IS_HOLDOUT, binary_rows, class_rows, number_rows, rows_with_gaps

ROWS: dict[Task, pl.DataFrame] = {
    "binary": rows_with_gaps(binary_rows()),
    "multiclass": rows_with_gaps(class_rows()),
    "regression": rows_with_gaps(number_rows()),
}


def _model(**changed: Any) -> LinearModel:
    return LinearModel(kind="linear", **changed)


def _fit(task: Task, rows: pl.DataFrame | None = None, **changed: Any) -> Trained:
    return fit_model(ROWS[task] if rows is None else rows, COLUMNS, _model(**changed), task)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize(
    "params", [{}, {"penalty": 0.0}, {"l1_share": 0.5}, {"penalty": 3.0, "l1_share": 1.0}], ids=str
)
def test_what_is_served_is_what_scikit_learn_predicts(task: Task, params: dict[str, float]) -> None:
    """To 1e-9, on rows with missing numbers, missing words and a word that training had not seen."""
    parts = prepare(ROWS[task], COLUMNS, _model(params=params), task)
    columns = linear.columns_of(parts)
    estimator, notes = linear._fit(linear.design_of(parts.train.features, columns), parts, _model(params=params))
    asked = parts.encoder.encode(ROWS[task].filter(IS_HOLDOUT))
    assert np.isnan(asked[:, :2]).any(axis=0).all()
    design = linear.design_of(asked, columns)
    expected = estimator.predict(design) if task == "regression" else estimator.predict_proba(design)
    served = fit_model(ROWS[task], COLUMNS, _model(params=params), task).scorer(asked)
    np.testing.assert_allclose(served, expected[:, 1] if task == "binary" else expected, rtol=0, atol=1e-9)
    assert notes == ()
    assert served.std() > 0.1


def test_rows_do_not_depend_on_each_other() -> None:
    """One alone scores as in a batch."""
    trained, asked = _fit("multiclass"), ROWS["multiclass"].filter(IS_HOLDOUT).head(20)
    batch = trained.predict(asked)
    single = np.concatenate([trained.predict(asked[place]) for place in range(len(asked))])
    np.testing.assert_allclose(single, batch, rtol=0, atol=1e-12)
    np.testing.assert_allclose(batch.sum(axis=1), 1)


def test_two_classes_of_several_have_a_probability_each() -> None:
    """Scikit-learn scores only the second of two; the answer is the same as of a binary label."""
    words = pl.when("label").then(pl.lit("late")).otherwise(pl.lit("early")).alias("label")
    two, one = _fit("multiclass", ROWS["binary"].with_columns(words)), _fit("binary")
    assert two.classes == ("early", "late")
    asked = ROWS["binary"].filter(IS_HOLDOUT)
    np.testing.assert_allclose(two.predict(asked)[:, 1], one.predict(asked), rtol=0, atol=1e-9)


def test_an_unseen_word_is_a_missing_one() -> None:
    trained, asked = _fit("binary"), ROWS["binary"].filter(IS_HOLDOUT).head(5)
    new, null = (asked.with_columns(carrier=pl.lit(value, pl.String)) for value in ("dog", None))
    np.testing.assert_array_equal(trained.predict(new), trained.predict(null))


def test_a_feature_without_values_teaches_nothing_and_is_told() -> None:
    """It neither breaks the fit nor counts, whatever comes in it later."""
    bare = ROWS["binary"].with_columns(hour=pl.when(IS_HOLDOUT).then(5.0), noise=pl.lit(3.0))
    trained = _fit("binary", bare)
    assert any("No training row has a value of hour" in warning for warning in trained.warnings)
    assert (trained.importance["hour"], trained.importance["noise"]) == (0.0, 0.0)
    assert np.isfinite(trained.predict(bare)).all()


def test_importance_is_sorted_and_noise_is_low() -> None:
    trained = _fit("regression")
    assert set(trained.importance) == set(COLUMNS)
    assert list(trained.importance.values()) == sorted(trained.importance.values(), reverse=True)
    assert {*list(trained.importance)[:2]} == {"carrier", "hour"}
    assert trained.rounds is None


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_fit_that_does_not_settle_says_so(task: Task) -> None:
    """No warning is raised; with ten times the iterations asked for it is still not there."""
    [note] = _fit(task, params={"iterations": 1, "penalty": 1e-6}).notes
    assert note.startswith("The fit has not settled after 10 iterations: raise")


def test_a_fit_that_settles_late_is_given_more_iterations() -> None:
    """Ten times as many are enough here, and nothing is said."""
    late, plain = (_fit("regression", params=params) for params in ({"iterations": 2}, {}))
    assert late.notes == ()
    assert late.loss == pytest.approx(plain.loss, abs=1e-6)


def test_the_same_rows_give_the_same_bytes() -> None:
    assert _fit("binary").files == _fit("binary").files
    assert set(_fit("binary").files) == {"model.json"}


def test_it_is_scored_without_scikit_learn() -> None:
    """In a process that imports the scorer alone."""
    trained, asked = _fit("binary"), ROWS["binary"].filter(IS_HOLDOUT).head(3)
    code = (
        "import json, sys, numpy as np\n"
        "from ml_platform.scoring.scorer import load_scorer\n"
        "content, matrix = json.loads(sys.stdin.read())\n"
        "score = load_scorer({'model.json': content.encode()}.__getitem__)\n"
        "print(json.dumps(score(np.array(matrix, dtype=float)).tolist()))\n"
        "assert not {'sklearn', 'scipy', 'polars', 'lightgbm'} & set(sys.modules)\n"
    )
    content = json.dumps([trained.files["model.json"].decode(), trained.encoder.encode(asked).tolist()])
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, text=True, check=True)
    np.testing.assert_array_equal(json.loads(done.stdout), trained.predict(asked))


def test_class_weights_move_the_probabilities() -> None:
    """Ten times as heavy, the positives are ten times as likely."""
    plain, heavy = _fit("binary"), _fit("binary", class_weights={"true": 10})
    asked = ROWS["binary"].filter(IS_HOLDOUT)
    assert (heavy.predict(asked) > plain.predict(asked)).all()
    assert heavy.loss > plain.loss
