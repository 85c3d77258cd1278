"""What the spec asks of the machines that fits run on, and of the packages for that and for tracking.

Pure, like `ml_platform.orchestration.spec_checks`: from a spec to faults. Nothing is imported or connected to.
"""

from collections.abc import Iterator
from importlib.util import find_spec

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.orchestration.spec_faults import Fault, Location

PACKAGES = {"ray": "ray", "dask": "distributed", "wandb": "wandb", "tensorboard": "tensorboardX"}  # by extra


def running_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that fits can be spread as asked, and that what is asked for is installed."""
    wanted: dict[Location, str] = {("tracking", place): name for place, name in enumerate(spec.tracking)}
    if spec.training.executor != "local":
        wanted["training", "executor"] = spec.training.executor
    if spec.training.distributed is not None:
        wanted["training", "distributed", "engine"] = spec.training.distributed.engine
        yield from _distributed_faults(spec)
    for location, extra in wanted.items():
        if find_spec(PACKAGES[extra]) is None:
            missing = f"{extra}, but no package {PACKAGES[extra]}"
            yield Fault(location, missing, "it installed", f"pip install 'ml-platform[{extra}]'")


def _distributed_faults(spec: PipelineSpec) -> Iterator[Fault]:
    location = ("training", "distributed")
    if spec.kind != "lightgbm":
        hint = "only LightGBM is trained by several workers: take it out"
        yield Fault(location, f"it with {_told(spec)}", "it with one model of kind lightgbm", hint)
    for name, model in spec.models.items():
        searched = {} if model.search is None else model.search.space
        for part, asked in (("params", model.params), ("search", searched)):
            if asked.get("linear_tree"):
                hint = "each worker would fit leaves of its own, and not the same model: take one of them out"
                yield Fault(("models", name, part), "linear_tree", "it without training.distributed", hint)


def _told(spec: PipelineSpec) -> str:
    return "an ensemble" if spec.ensemble is not None else f"a model of kind {spec.kind}"
