"""What the models of a spec must have in common with its task and its features.

Pure, like `ml_platform.orchestration.spec_checks`: from a spec and types to faults. Each option of a model either works
or is refused here, before any fit.
"""

from collections.abc import Iterator
from importlib.util import find_spec

from ml_platform.contracts.spec import LightGBMModel, Model, PipelineSpec, TreeModel
from ml_platform.features.types import widen_type
from ml_platform.orchestration.spec_checks import Types
from ml_platform.orchestration.spec_faults import Fault, Location, nearest
from ml_platform.training.weights import BINARY_NAMES

WEIGHING_PARAMS = ("is_unbalance", "scale_pos_weight")


def model_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that each model's options fit the task and each other, and that what fits it is installed."""
    for name, model in spec.models.items():
        location = ("models", name)
        if model.kind == "xgboost" and find_spec("xgboost") is None:
            hint = "pip install 'ml-platform[xgboost]'"
            yield Fault((*location, "kind"), "xgboost, but no package xgboost", "it installed", hint)
        if model.calibration is not None and spec.label.task != "binary":
            hint = f"label.task is {spec.label.task}: take it out"
            yield Fault((*location, "calibration"), model.calibration, "it only with label.task: binary", hint)
        yield from _weight_faults(spec, model, location)
        if isinstance(model, TreeModel):
            yield from _tree_faults(spec, model, location)
    yield from _quantile_faults(spec)


def monotone_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    """See that a model rises or falls with features that are numbers."""
    for name, model in spec.models.items():
        for feature in model.monotone if isinstance(model, TreeModel) else ():
            location = ("models", name, "monotone", feature)
            if feature not in spec.features.columns:
                yield Fault(location, feature, "one of features.columns", nearest(feature, spec.features.columns))
            elif not (dtype := widen_type(types[feature])).is_numeric():
                yield Fault(location, f"{feature} ({dtype})", "a feature that is a number", "take it out")


def _weight_faults(spec: PipelineSpec, model: Model, location: Location) -> Iterator[Fault]:
    asked, task = model.class_weights, spec.label.task
    if asked is None:
        return
    location = (*location, "class_weights")
    if task == "regression":
        yield Fault(location, asked, "no such key", "label.task is regression, which has no classes: take it out")
    if doubled := [name for name in WEIGHING_PARAMS if name in model.params]:
        hint = "both weigh the classes: keep one"
        yield Fault(location, asked, f"it without params.{doubled[0]}", hint)
    if task != "binary" or asked == "balanced":
        return
    for label in asked:
        same = [other for other in asked if BINARY_NAMES.get(other) == BINARY_NAMES.get(label)]
        if label not in BINARY_NAMES:
            yield Fault((*location, label), label, "one of false, true, 0, 1", "label.task is binary: name its labels")
        elif label != same[0]:
            yield Fault((*location, label), f"{same[0]} and {label}", "each label once", "they are the same: keep one")


def _tree_faults(spec: PipelineSpec, model: TreeModel, location: Location) -> Iterator[Fault]:
    task = spec.label.task
    if model.quantile is not None and task != "regression":
        hint = f"label.task is {task}: take it out"
        yield Fault((*location, "quantile"), model.quantile, "it only with label.task: regression", hint)
    if not model.monotone:
        return
    reasons = {
        "it only with label.task: binary or regression": task == "multiclass",
        "it without quantile": model.quantile is not None,
        "it without params.linear_tree": isinstance(model, LightGBMModel) and model.params.get("linear_tree", False),
    }
    for expected in (expected for expected, holds in reasons.items() if holds):
        yield Fault((*location, "monotone"), ", ".join(model.monotone), expected, "the library does not keep it there")


def _quantile_faults(spec: PipelineSpec) -> Iterator[Fault]:
    for name, model in spec.models.items():
        quantile = model.quantile if isinstance(model, TreeModel) else None
        if quantile != spec.quantile:
            expected = f"{spec.quantile}, as the other models"
            yield Fault(("models", name), f"quantile {quantile}", expected, "all models predict the same")
