"""The predictor: the model of a bundle as a function that anybody may call at any time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm as lgb
import numpy as np
import polars as pl
import pytest

from ml_platform.contracts.errors import BundleDamaged, RegistryError
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.bundles import PLAN, SIGNATURE, make_bundle, make_files, make_lookups, make_rows


def test_predictions_are_the_models(tmp_path: Path) -> None:
    """Through the bundle and by LightGBM itself: the same numbers, and all parts are there."""
    predictor = Predictor.load(make_bundle(tmp_path / "b"))
    features = PLAN.transform(make_rows(50, 3), make_lookups())
    booster = lgb.Booster(model_str=make_files()["model.txt"].decode())
    expected = np.asarray(booster.predict(predictor.encoder.encode(features)))
    np.testing.assert_array_equal(predictor.predict(features), expected)
    assert expected.std() > 0.05
    assert (predictor.plan, predictor.signature, predictor.batch_at_most) == (PLAN, SIGNATURE, 200)
    assert predictor.lookups["road"].equals(make_lookups()["road"])
    assert predictor.predict(features.clear()).shape == (0,)


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Many threads on one predictor give what one gives."""
    predictor = Predictor.load(make_bundle(tmp_path / "b"))
    batches = [PLAN.transform(make_rows(20, seed), make_lookups()) for seed in range(8)]
    expected = [predictor.predict(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for got, wanted in zip(pool.map(predictor.predict, batches * 10), expected * 10, strict=True):
            np.testing.assert_array_equal(got, wanted)


def test_unseen_category_is_missing(tmp_path: Path) -> None:
    """A new carrier scores as a null one."""
    predictor = Predictor.load(make_bundle(tmp_path / "b"))
    features = PLAN.transform(make_rows(5), make_lookups())
    new, null = (features.with_columns(carrier=pl.lit(value, pl.String)) for value in ("dog", None))
    np.testing.assert_array_equal(predictor.predict(new), predictor.predict(null))


def test_content_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """Right hashes over wrong content are damage too."""
    with pytest.raises(BundleDamaged, match="expected content that can be loaded"):
        Predictor.load(make_bundle(tmp_path / "b", model__txt=b"no tree"))
    with pytest.raises(BundleDamaged, match="expected content that can be loaded"):
        Predictor.load(make_bundle(tmp_path / "c", encoder__json=b"{}"))


def test_unknown_kind_is_refused(tmp_path: Path) -> None:
    """The kind and what can be served are named."""
    oracle = b'{"kind": "oracle", "task": "binary"}'
    with pytest.raises(RegistryError, match="got kind oracle, expected one of lightgbm, linear, xgboost"):
        Predictor.load(make_bundle(tmp_path / "b", model__json=oracle))


@pytest.mark.parametrize(
    "described",
    [
        b"{}",
        b"[]",
        b'{"kind": "lightgbm", "file": "model.txt"}',
        b'{"kind": "lightgbm", "task": "ranking", "file": "model.txt"}',
        b'{"kind": "lightgbm", "task": "binary", "file": "gone.txt"}',
        b'{"kind": "linear", "task": "binary", "link": "logit"}',
        b'{"kind": "linear", "task": "binary", "link": "cosine", "intercepts": [0], "columns": []}',
        b'{"kind": "linear", "task": "binary", "classes": [{}], "link": "logit", "intercepts": [0], "columns": []}',
        b'{"kind": "xgboost", "task": "binary", "file": "model.txt"}',
        b'{"kind": "lightgbm", "task": "binary", "file": "model.txt", "calibration": {"kind": "platt"}}',
    ],
)
def test_a_description_that_is_none_is_damage(tmp_path: Path, described: bytes) -> None:
    """Whatever stands in `model.json`, with right hashes over it."""
    if b"xgboost" in described:
        pytest.importorskip("xgboost")
    with pytest.raises(BundleDamaged):
        Predictor.load(make_bundle(tmp_path / "b", model__json=described))
