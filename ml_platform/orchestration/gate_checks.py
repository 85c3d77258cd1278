"""What gates, decisions and metrics must have in common with the rest of a spec.

Pure: from a spec to faults, as in `ml_platform.orchestration.spec_checks`.
"""

from collections.abc import Iterator

from ml_platform.contracts.metrics import METRICS_OF
from ml_platform.contracts.spec import Gate, PipelineSpec, PlausibleGate, ServedGate
from ml_platform.orchestration.spec_faults import Fault, nearest


def gate_faults(spec: PipelineSpec) -> Iterator[Fault]:
    """See that gates fit the task, the features and the split, and decisions the task."""
    if spec.decide.decides and spec.label.task != "binary":
        hint = "take it out: only a binary model says yes or no"
        yield Fault(("decide",), f"decide with label.task {spec.label.task}", "label.task: binary", hint)
    yield from _metric_faults(spec)
    yield from _slice_faults(spec)
    for place, gate in enumerate(spec.gates):
        if isinstance(gate, Gate) and gate.newest is not None and gate.newest > spec.split.holdout:
            got, expected = f"{gate.newest.days}d", f"at most the holdout's {spec.split.holdout.days}d"
            yield Fault(("gates", place, "newest"), got, expected, "shorten it, or lengthen split.holdout")


def _metric_faults(spec: PipelineSpec) -> Iterator[Fault]:
    task = spec.label.task
    known = [*METRICS_OF[task], *spec.metrics]
    for place, gate in enumerate(spec.gates):
        if isinstance(gate, ServedGate):
            continue
        where = ("gates", place, "metric")
        if gate.metric not in known:
            expected = f"one of {', '.join(known)}"
            yield Fault(where, gate.metric, expected, f"label.task is {task}: choose one of its")
        elif gate.metric == "cost" and spec.decide.costs is None:
            yield Fault(where, "cost", "decide.costs", "say under decide what wrong decisions cost")
        elif gate.metric == "pinball" and spec.quantile is None:
            yield Fault(where, "pinball", "models of one quantile", "give each model the same quantile")
        elif isinstance(gate, PlausibleGate) and (gate.metric == "cost" or gate.metric in spec.metrics):
            possible = [name for name in METRICS_OF[task] if name != "cost"]
            hint = "it compares errors, which are never less than nothing"
            yield Fault(where, gate.metric, f"one of {', '.join(possible)}", hint)


def _slice_faults(spec: PipelineSpec) -> Iterator[Fault]:
    for place, gate in enumerate(spec.gates):
        for number, name in enumerate(gate.per or () if isinstance(gate, Gate) else ()):
            if name not in spec.features.columns:
                hint = nearest(name, spec.features.columns)
                yield Fault(("gates", place, "per", number), name, "one of features.columns", hint)
