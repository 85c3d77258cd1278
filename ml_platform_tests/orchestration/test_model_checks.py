"""Options of a model that do not fit its task, its features or each other are refused when definitions load."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines import several, tiny
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER

pytestmark = DAGSTER


def _resolved(task: str, folder: Path, **models: dict[str, Any]) -> Pipeline:
    text = (FOLDER / "defs.yaml").read_text()
    changed = several.changed(task, models)
    path = folder / "defs.yaml"
    path.write_text(yaml.safe_dump({"attributes": (attributes := yaml.safe_load(text)["attributes"] | changed)}))
    return resolve(attributes, path, tiny.__name__)


GBM, LINEAR, XGB = {"kind": "lightgbm"}, {"kind": "linear"}, {"kind": "xgboost"}
REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "calibration of several classes": (
        "multiclass",
        GBM | {"calibration": "platt"},
        "calibration: got platt, expected it only with label.task: binary. Hint: label.task is multiclass",
    ),
    "calibration of a number": ("regression", LINEAR | {"calibration": "isotonic"}, "calibration: got isotonic, .*"),
    "class weights of a number": ("regression", GBM | {"class_weights": "balanced"}, "class_weights: got balanced, .*"),
    "a label that a binary task has not": (
        "binary",
        LINEAR | {"class_weights": {"late": 2}},
        "class_weights.late: got late, expected one of false, true, 0, 1",
    ),
    "one label by two names": (
        "binary",
        GBM | {"class_weights": {"1": 2, True: 3}},
        "class_weights.true: got 1 and true, expected each label once",
    ),
    "classes weighed twice": (
        "binary",
        GBM | {"class_weights": "balanced", "params": {"is_unbalance": True}},
        "class_weights: got balanced, expected it without params.is_unbalance",
    ),
    "classes weighed twice by XGBoost": (
        "binary",
        XGB | {"class_weights": "balanced", "params": {"scale_pos_weight": 2.0}},
        "class_weights: got balanced, expected it without params.scale_pos_weight",
    ),
    "a weight of the positive class among several": (
        "multiclass",
        XGB | {"params": {"scale_pos_weight": 2.0}},
        "params.scale_pos_weight: got scale_pos_weight, expected no such parameter",
    ),
    "quantile of a class": (
        "binary",
        GBM | {"quantile": 0.9},
        "quantile: got 0.9, expected it only with label.task: regression",
    ),
    "quantile of a linear model": ("regression", LINEAR | {"quantile": 0.9}, "quantile: got key quantile, .*"),
    "monotone in what is no feature": (
        "binary",
        GBM | {"monotone": {"passenger": "increasing"}},
        "monotone.passenger: got passenger, expected one of features.columns. Hint: did you mean passengers?",
    ),
    "monotone in a category": (
        "binary",
        XGB | {"monotone": {"line": "increasing"}},
        "monotone.line: got line .String., expected a feature that is a number",
    ),
    "monotone in several classes": (
        "multiclass",
        GBM | {"monotone": {"passengers": "increasing"}},
        "monotone: got passengers, expected it only with label.task: binary or regression",
    ),
    "monotone quantile": (
        "regression",
        XGB | {"monotone": {"passengers": "increasing"}, "quantile": 0.5},
        "monotone: got passengers, expected it without quantile",
    ),
    "monotone with linear trees": (
        "regression",
        GBM | {"monotone": {"passengers": "increasing"}, "params": {"linear_tree": True}},
        "monotone: got passengers, expected it without params.linear_tree",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_its_place(case: str, tmp_path: Path) -> None:
    task, model, said = REFUSED[case]
    with pytest.raises(SpecError, match=rf"defs\.yaml:\d+: models\.gbm\.{said}"):
        _resolved(task, tmp_path, gbm=model)


@pytest.mark.parametrize(
    ("task", "model"),
    [
        ("binary", GBM | {"calibration": "isotonic", "class_weights": {True: 3}, "recency_half_life": "7d"}),
        ("binary", XGB | {"monotone": {"passengers": "increasing", "hour": "decreasing"}}),
        ("multiclass", LINEAR | {"class_weights": {"none": 0.5}}),
        ("multiclass", XGB | {"class_weights": "balanced"}),
        ("regression", GBM | {"quantile": 0.9}),
        ("regression", LINEAR | {"params": {"l1_share": 0.5}}),
    ],
    ids=str,
)
def test_what_fits_is_taken(task: str, model: dict[str, Any], tmp_path: Path) -> None:
    spec = _resolved(task, tmp_path, gbm=model).spec
    assert spec.quantile == model.get("quantile")
    assert spec.loss == ("pinball" if "quantile" in model else {"regression": "rmse"}.get(task, "log_loss"))


def test_xgboost_that_is_not_installed_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When definitions load, not in the middle of a run."""
    monkeypatch.setitem(sys.modules, "xgboost", None)
    said = r"models\.gbm\.kind: got xgboost, but no package xgboost, .*pip install 'ml-platform\[xgboost\]'"
    with pytest.raises(SpecError, match=said):
        _resolved("binary", tmp_path, gbm=XGB)


def test_a_spec_is_checked_without_the_libraries_that_fit(tmp_path: Path) -> None:
    """Definitions load often."""
    before = set(sys.modules)
    _resolved("binary", tmp_path, gbm=GBM)
    assert not {"sklearn.linear_model", "xgboost"} & (set(sys.modules) - before)
