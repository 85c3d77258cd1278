"""The tiny pipeline as an ensemble of trees and a linear model."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.resolution import Pipeline
from ml_platform_tests.pipelines.world import FOLDER, NAME, tiny

OF = ["trees", "linear"]
MODELS: dict[str, dict[str, Any]] = {
    "trees": {
        "kind": "lightgbm",
        "rounds": 40,
        "patience": 10,
        "params": {"num_leaves": 7, "min_data_in_leaf": 20, "num_threads": 1},
    },
    "linear": {"kind": "linear", "params": {"penalty": 2.0}},
}


def tiny_ensemble(kind: str, **changed: Any) -> Pipeline:
    """Give the tiny pipeline with two models that answer as one; its split has folds, so that they may be stacked."""
    told = tiny().spec.model_dump(mode="json", by_alias=True)
    told |= {"models": MODELS, "ensemble": {"kind": kind, "of": OF}, "split": told["split"] | {"folds": 2}}
    return replace(tiny(), spec=PipelineSpec.model_validate(told | changed))


def write_pipeline(pipeline: Pipeline, defs: Path) -> Path:
    """Write a pipeline made from the tiny one into a folder of pipelines, as its author would have; gives its YAML."""
    shutil.copytree(FOLDER, defs / NAME)
    path = defs / NAME / "defs.yaml"
    written = yaml.safe_load(path.read_text())
    changed = pipeline.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    written["attributes"] |= {name: changed[name] for name in ("models", "ensemble", "split") if name in changed}
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    return path
