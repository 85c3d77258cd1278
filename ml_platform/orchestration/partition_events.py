"""Events of single partitions in a run over a range of them: each partition has its own, and all are stored at once.

Dagster makes such events itself, but with one data version for the whole range and one transaction each.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.events import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
    generate_event_batch_id,
)
from dagster._core.execution.context.system import StepExecutionContext

from ml_platform.data.lake.tables import STATIC
from ml_platform.orchestration.event_log import BatchedEventLog

# With this in a result's metadata Dagster makes no events of the result's partitions: they are logged already.
ALREADY_LOGGED = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}


@dataclass(frozen=True)
class PartitionLog:
    """Where a step logs what it made of a stage that is not its own; taken before the stage's inputs are read.

    Parameters
    ----------
    step : StepExecutionContext
        The step that makes the partitions.
    asset_key : AssetKey
        The stage they belong to.
    tags : mapping of str to str
        The tags that Dagster finds stale partitions by.
    """

    step: StepExecutionContext
    asset_key: dg.AssetKey
    tags: Mapping[str, str]

    @property
    def log(self) -> Any:
        """The step's logger."""
        return self.step.log

    @property
    def instance(self) -> dg.DagsterInstance:
        """The step's instance."""
        return self.step.instance

    @property
    def partition_keys(self) -> tuple[str, ...]:
        """None: the step's own partitions are another stage's, so that each of this one is logged by itself."""
        return ()


StageContext = dg.AssetExecutionContext | PartitionLog


def log_of_stage(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, stage: dg.AssetKey, code: str, upstream: Sequence[str]
) -> PartitionLog:
    """Return the log of another stage, whose inputs have the versions that they have now.

    Parameters
    ----------
    code : str
        The code version of the stage.
    upstream : sequence of str
        The stages that it depends on.
    """
    step, keys = _step_of(context), [dg.AssetKey([stage.path[0], name]) for name in upstream]
    records = {record.asset_entry.asset_key: record for record in context.instance.get_asset_records(keys)}
    tags = {CODE_VERSION_TAG: code, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
    for key in keys:
        newest = records[key].asset_entry.last_materialization_record if key in records else None
        version = extract_data_version_from_entry(newest.event_log_entry) if newest else None
        tags |= _input_tags(key, version, newest.storage_id if newest else None)
    return PartitionLog(step, stage, tags)


def log_materializations(
    context: StageContext, versions: Mapping[str, str], metadata: Mapping[str, Mapping[str, Any]]
) -> None:
    """Log that each partition was materialized.

    Parameters
    ----------
    versions : mapping of str to str
        Partition -> its data version.
    metadata : mapping of str to mapping
        Partition -> what the UI shows of it.
    """
    step = _step_of(context)
    tags = context.tags if isinstance(context, PartitionLog) else _provenance(context, step)
    made = [
        dg.AssetMaterialization(
            context.asset_key,
            partition=None if key == STATIC else key,
            metadata=metadata[key],
            tags={**tags, DATA_VERSION_TAG: versions[key]},
        )
        for key in versions
    ]
    batches = _batches(len(made))
    for each, batch in zip(made, batches, strict=True):
        DagsterEvent.asset_materialization(step, each, batch)


def log_evaluations(context: StageContext, evaluations: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Log what a check found in each partition."""
    step = _step_of(context)
    may_batch = isinstance(context.instance.event_log_storage, BatchedEventLog)
    for each, batch in zip(evaluations, _batches(len(evaluations)), strict=True):
        DagsterEvent.from_step(
            DagsterEventType.ASSET_CHECK_EVALUATION,
            step,
            each,
            f"{each.check_name} {'passed' if each.passed else 'did not pass'} for {each.partition}.",
            batch if may_batch else None,
        )


def _batches(count: int) -> Iterator[DagsterEventBatchMetadata]:
    batch = generate_event_batch_id()
    return (DagsterEventBatchMetadata(batch, number == count - 1) for number in range(count))


def _step_of(context: dg.OpExecutionContext | StageContext) -> StepExecutionContext:
    if isinstance(context, PartitionLog):
        return context.step
    op = context.op_execution_context if isinstance(context, dg.AssetExecutionContext) else context
    return op.get_step_execution_context()


def _provenance(context: dg.AssetExecutionContext, step: StepExecutionContext) -> dict[str, str]:
    """Return the tags that Dagster finds stale assets by: the code, and each input's data version and newest event."""
    node = context.assets_def.specs_by_key[context.asset_key]
    tags = {CODE_VERSION_TAG: node.code_version or context.run.run_id, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
    for dependency in node.deps:
        found = step.maybe_fetch_and_get_input_asset_version_info(dependency.asset_key)
        tags |= _input_tags(dependency.asset_key, found and found.data_version, found and found.storage_id)
    return tags


def _input_tags(key: dg.AssetKey, version: dg.DataVersion | None, storage_id: int | None) -> dict[str, str]:
    return {
        get_input_data_version_tag(key): (version or DEFAULT_DATA_VERSION).value,
        get_input_event_pointer_tag(key): NULL_EVENT_POINTER if storage_id is None else str(storage_id),
    }
