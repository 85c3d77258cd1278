"""What a verdict must have been given on to count: for each gate of a spec its bound, and all else that it hangs on.

A verdict on a cost says nothing once the costs are others, nor one on an author's metric once its function was edited.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.evaluations import Demand
from ml_platform.contracts.spec import AnyGate, PipelineSpec, PlausibleGate, ServedFitGate, ServedGate
from ml_platform.orchestration.code_versions import module_text

DECIDED = ("cost", "f1")  # these are metrics of decisions: the baselines' too follow the spec


def demands(spec: PipelineSpec, own: Mapping[str, Callable[..., Any]]) -> dict[str, Demand]:
    """Give what the gates of a spec demand of a verdict, by gate.

    Parameters
    ----------
    own : mapping of str to function
        The author's metrics, by name.
    """
    return {
        gate.name: Demand(bound=gate.bound, basis=_basis(gate, spec, own), condition=gate.condition)
        for gate in spec.all_gates
    }


def own_metrics(spec: PipelineSpec, package: str) -> dict[str, Callable[..., Any]]:
    """Import the author's metrics, and nothing else of the author's Python.

    Parameters
    ----------
    package : str
        Import name of the pipeline's folder.

    Raises
    ------
    SpecError
        If one cannot be imported.
    """
    return {name: _imported(name, each.function, package) for name, each in spec.metrics.items()}


def _basis(gate: AnyGate | ServedFitGate, spec: PipelineSpec, own: Mapping[str, Callable[..., Any]]) -> str:
    """Return a digest; what is left out of a spec does not count, so that a new option leaves old verdicts alone.

    Nor does the name: a gate that is renamed is the same gate.
    """
    settings = gate.model_dump(mode="json", exclude_defaults=True, exclude={"name_"})
    parts: list[Any] = [settings, spec.label.task, spec.quantile]
    metric = "" if isinstance(gate, ServedGate) else gate.metric
    if metric in DECIDED:
        parts.append(spec.decide.model_dump(mode="json", exclude_defaults=True))
    if isinstance(gate, PlausibleGate):
        parts.append(sorted(spec.split.may_tell_label))
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
    if metric in own:
        digest.update(spec.metrics[metric].better.encode() + module_text(own[metric]))
    return digest.hexdigest()[:12]


def _imported(name: str, path: str, package: str) -> Callable[..., Any]:
    module, _, attribute = path.rpartition(".")
    try:
        return getattr(import_module(module, package), attribute)
    except Exception as error:  # the author's module runs here, and may raise anything
        raise SpecError.because(
            f"metrics.{name}.function", got=f"{path} ({type(error).__name__}: {error})"[:300],
            expected=f"a function that can be imported, from {package} if it begins with a dot",
            hint="run the command where definitions load",
        ) from error  # fmt: skip
