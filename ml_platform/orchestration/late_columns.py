"""What becomes known only with the label is no input, nor what the source derives of it.

Pure, like `ml_platform.orchestration.spec_checks`: from a spec and types to faults. No statistic can tell a column that
is known too late from one that is merely good; whoever knows the source says it once, in `label.known_with`.
"""

from collections.abc import Iterator, Mapping

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.sources.expressions import parse
from ml_platform.orchestration.spec_checks import Types
from ml_platform.orchestration.spec_faults import Fault, nearest

EXPECTED = "a column known at the event time"


def late_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    """See that inputs are known when a prediction is asked for, and that `known_with` names columns that are there."""
    read = {name: _read(name, sql) for name, sql in spec.source.derive.items()}
    known = [*types, *(column for columns in read.values() for column in columns)]
    for place, name in enumerate(spec.label.known_with):
        if name not in known:
            expected = "a column of the schema, or one that source.derive reads"
            yield Fault(("label", "known_with", place), name, expected, nearest(name, known))
    late = _late(spec, read)
    for place, name in enumerate(spec.features.inputs):
        if name in late:
            yield Fault(("features", "inputs", place), name, EXPECTED, f"{late[name]}: take it out")


def _late(spec: PipelineSpec, read: Mapping[str, list[str]]) -> dict[str, str]:
    """Give the columns that are known too late, with why, beside the label's own."""
    late = dict.fromkeys(spec.label.known_with, "label.known_with says that it becomes known with the label")
    own = {*spec.label.columns, spec.event_time, *spec.key}  # an event time may be reckoned back from what came of it
    for name, columns in read.items():  # in order: each may read what stands before it
        of = next((column for column in columns if column in late or column in spec.label.columns), None)
        if of is not None and name not in own:
            late[name] = f"source.derive makes it of {of}, which is not known then"
    return late


def _read(name: str, sql: str) -> list[str]:
    try:
        return parse(sql, f"source.derive.{name}").meta.root_names()
    except SpecError:  # told with all that is wrong with the source
        return []
