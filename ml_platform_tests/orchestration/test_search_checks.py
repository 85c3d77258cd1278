"""A search that cannot be is refused when definitions load, by file and line."""

import re
from pathlib import Path

import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.marks import DAGSTER
from ml_platform_tests.pipelines.world import FOLDER

pytestmark = DAGSTER

PATIENCE = "rounds: 60, patience: 10"


def _resolve(path: Path, space: str, options: str = PATIENCE) -> Pipeline:
    text = (FOLDER / "defs.yaml").read_text()
    assert text.count(PATIENCE) == 1
    search = f"search: {{trials: 3, space: {{\n        {space}}}}}"
    path.write_text(text.replace(PATIENCE, f"{options},\n      {search}"))
    return resolve(yaml.safe_load(path.read_text())["attributes"], path, "ml_platform_tests.pipelines.tiny")


def test_a_space_of_the_models_own_parameters_is_taken(tmp_path: Path) -> None:
    space = "learning_rate: {low: 0.01, high: 0.3, log: true}, boosting: {choices: [gbdt, rf]}"
    model = _resolve(tmp_path / "defs.yaml", space).spec.models["gbm"]
    assert model.search is not None
    assert list(model.search.space) == ["learning_rate", "boosting"]


# id: the space, other options of the model, what is said
REFUSED = {
    "an unknown parameter": (
        "learning_rat: {low: 0.1, high: 0.2}", PATIENCE,
        "learning_rat: got learning_rat, expected a parameter of lightgbm. Hint: did you mean learning_rate?",
    ),
    "one that is set elsewhere": (
        "num_iterations: {low: 10, high: 20}", PATIENCE,
        "num_iterations: got num_iterations, .* Hint: set rounds beside params; it is not searched",
    ),
    "one that is fixed too": (
        "num_leaves: {low: 3, high: 9}", PATIENCE,
        "num_leaves: got num_leaves, which params sets too, expected a parameter that is not fixed. Hint: take it out",
    ),
    "a value out of bounds": (
        "feature_fraction: {low: 0.5, high: 1.5}", PATIENCE,
        "feature_fraction.high: got 1.5, expected less than or equal to 1. Hint: mend high",
    ),
    "a choice that is none": (
        "boosting: {choices: [gbdt, dart]}", PATIENCE,
        "boosting.choices.1: got 'dart', expected 'gbdt' or 'rf'. Hint: mend boosting",
    ),
    "an empty range": (
        "learning_rate: {low: 0.3, high: 0.1}", PATIENCE, "expected low below high, got 0.3 and 0.1",
    ),
    "a logarithm of nothing": (
        "lambda_l1: {low: 0, high: 1, log: true}", PATIENCE, "expected low above 0 with log, got 0",
    ),
    "classes weighed twice": (
        "scale_pos_weight: {low: 1, high: 9}", f"{PATIENCE}, class_weights: balanced",
        "scale_pos_weight: got scale_pos_weight, expected it without class_weights. Hint: both weigh the classes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_search_that_cannot_be_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    space, options, told = REFUSED[case]
    path = tmp_path / "defs.yaml"
    with pytest.raises(SpecError) as caught:
        _resolve(path, space, options)
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if space in text)
    assert re.search(rf"defs\.yaml:{line}: models\.gbm\.search\.space\..*{told}", str(caught.value)), caught.value
