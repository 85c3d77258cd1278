"""What is wrong with the searches of a spec: parameters that do not exist, values they do not take."""

from collections.abc import Iterator

from ml_platform.contracts.lightgbm_params import BINARY_ONLY, SET_ELSEWHERE
from ml_platform.contracts.spec import Model, PipelineSpec
from ml_platform.orchestration.model_checks import WEIGHING_PARAMS
from ml_platform.orchestration.spec_faults import Fault, Location, nearest
from ml_platform.training.space import known_parameters, wrong_values


def search_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """Hold each search against the parameters of its model's kind."""
    for name, model in spec.models.items():
        if model.search is not None:
            yield from _space_faults(spec, ("models", name, "search", "space"), model)


def _space_faults(spec: PipelineSpec, location: Location, model: Model) -> Iterator[Fault]:
    known, task = known_parameters(model.kind), spec.label.task
    for name, values in model.search.space.items() if model.search else ():
        place = (*location, name)
        if name not in known:
            elsewhere = SET_ELSEWHERE.get(name) if model.kind == "lightgbm" else None
            hint = f"{elsewhere}; it is not searched" if elsewhere else nearest(name, known)
            yield Fault(place, name, f"a parameter of {model.kind}", hint)
        elif name in model.params:
            hint = "take it out of params, or out of the space"
            yield Fault(place, f"{name}, which params sets too", "a parameter that is not fixed", hint)
        elif name in WEIGHING_PARAMS and model.class_weights is not None:
            yield Fault(place, name, "it without class_weights", "both weigh the classes: keep one")
        elif name in BINARY_ONLY and task != "binary":
            yield Fault(place, name, "no such parameter", f"label.task is {task}: take it out")
        else:
            wrong = wrong_values(model.kind, name, values)
            yield from (Fault((*place, *each.place), each.got, each.expected, each.hint) for each in wrong)
