"""Column names that one table cannot hold together: Delta tells no capital letters from small ones.

Pure, like `ml_platform.orchestration.spec_checks`: from a spec and types to faults. Every table that a pipeline writes
is looked at here, with the columns that the platform adds to it.
"""

from collections.abc import Iterator, Mapping

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.splits.parts import DAY, KNOWN_AT, LABEL, PART
from ml_platform.data.splits.target_columns import carried_columns
from ml_platform.features.plan import PLAN
from ml_platform.features.types import colliding_names
from ml_platform.orchestration.spec_checks import Types
from ml_platform.orchestration.spec_faults import Fault, Location

_READ_AT = ("features_version", "validated_version")


def collision_faults(spec: PipelineSpec, types: Types) -> Iterator[Fault]:
    """Check that no table of a pipeline has two columns whose names differ in capital letters alone."""
    seen: set[frozenset[str]] = set()
    for stage, columns in _tables(spec, types).items():
        for one, other in colliding_names(list(columns)):
            if frozenset((one, other)) in seen:
                continue
            seen.add(frozenset((one, other)))
            location = columns[other] or columns[one]
            expected = f"names that differ in more than capital letters, in the table {spec.name}/{stage}"
            yield Fault(location, f"{one} and {other}", expected, "rename one of them in the source")


def _tables(spec: PipelineSpec, types: Types) -> dict[str, Mapping[str, Location]]:
    """Return the columns of each table by where the spec names them; an empty location is the platform's own."""
    known: dict[str, Location] = {spec.event_time: ("event_time",)}
    known |= dict.fromkeys(spec.key, ("key",))
    features: dict[str, Location] = {
        name: ("features", "columns", place) for place, name in enumerate(spec.features.columns)
    }
    label: list[str] = [LABEL, KNOWN_AT, PART, DAY, PARTITION, *_READ_AT]
    by: dict[str, Location] = {} if spec.split.by is None else {spec.split.by: ("split", "by")}
    carried: dict[str, Location] = dict.fromkeys(carried_columns(spec, types).values(), ("label",))
    tables: dict[str, Mapping[str, Location]] = {
        "raw": dict.fromkeys(types, ("source",)) | {PARTITION: ()},
        "features": features | known | {PARTITION: (), PLAN: ()},
        "training_set": features | known | carried | by | dict.fromkeys(label, ()),
    }
    for name, lookup in spec.features.lookups.items():
        place: Location = ("features", "lookups", name)
        at = [] if lookup.known_at is None else [lookup.known_at]
        tables[name] = dict.fromkeys([*lookup.by, *lookup.columns, *at], place) | {PARTITION: ()}
    return tables
