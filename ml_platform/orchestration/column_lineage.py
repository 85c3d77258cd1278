"""Column lineage: which columns of which stages each feature is made of.

Pure, from a spec and its plan. What the author's function makes may come from any column that it sees.
"""

from collections.abc import Iterable

import dagster as dg

from ml_platform.features.expressions import columns_of
from ml_platform.features.plan import FeaturePlan
from ml_platform.features.window_plan import HistoryPlan, WindowPlan
from ml_platform.orchestration.resolution import Pipeline

Column = tuple[str, str]
Sources = dict[str, frozenset[Column]]
ROWS = "validated"


def feature_sources(pipeline: Pipeline) -> Sources:
    """Give the columns that each feature is made of, as (stage, column)."""
    plan = pipeline.plan
    made: Sources = {name: frozenset([(ROWS, name)]) for name in plan.raw_columns}
    made |= _joined(pipeline)
    if plan.history is not None:
        made |= {window.name: frozenset(_windowed(plan.history, window)) for window in plan.history.windows}
    for name, sql in plan.derive:
        read = columns_of(f"features.derive.{name}", sql)
        made[name] = frozenset(source for column in read for source in made[column])
    everything = frozenset(source for sources in made.values() for source in sources)
    return {name: made.get(name, everything) for name in _columns(plan)}


def column_lineage(pipeline: Pipeline) -> dg.TableColumnLineage:
    """Give the lineage of the table `features` as Dagster shows it."""
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(dg.AssetKey([pipeline.name, stage]), column) for stage, column in sorted(sources)]
            for name, sources in feature_sources(pipeline).items()
        }
    )


def _columns(plan: FeaturePlan) -> list[str]:
    return list(dict.fromkeys([*plan.key, plan.event_time, *plan.columns]))


def _joined(pipeline: Pipeline) -> Sources:
    made: Sources = {}
    for name, lookup in pipeline.spec.features.lookups.items():
        joined_on = {(ROWS, column) for column in lookup.by}
        if lookup.known_at is not None:
            joined_on |= {(ROWS, pipeline.spec.event_time), (name, lookup.known_at)}
        made |= {f"{name}_{column}": frozenset({(name, column)} | joined_on) for column in lookup.columns}
    return made


def _windowed(past: HistoryPlan, window: WindowPlan) -> Iterable[Column]:
    read = [*window.by, past.event_time]
    if window.of is not None:
        read.append(window.of)
    if window.where is not None:
        read += columns_of(window.where_place, window.where)
    if window.awaits_label and past.known_at is not None:
        read.append(past.known_at)
    return [(ROWS, name) for name in read]
