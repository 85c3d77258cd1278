"""Events of single partitions in a run over a range of them: each partition has its own, and all are stored at once.

Dagster makes such events itself, but with one data version for the whole range and one transaction each.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    DEFAULT_DATA_VERSION,
    NULL_EVENT_POINTER,
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

from ml_platform.orchestration.event_log import BatchedEventLog

# With this in a result's metadata Dagster makes no events of the result's partitions: they are logged already.
ALREADY_LOGGED = {SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True}


def log_materializations(
    context: dg.AssetExecutionContext, versions: Mapping[str, str], metadata: Mapping[str, Mapping[str, Any]]
) -> None:
    """Log that each partition was materialized.

    Parameters
    ----------
    versions : mapping of str to str
        Partition -> its data version.
    metadata : mapping of str to mapping
        Partition -> what the UI shows of it.
    """
    step = context.op_execution_context.get_step_execution_context()
    tags = dict(_provenance(context, step))
    made = [
        dg.AssetMaterialization(
            context.asset_key, partition=key, metadata=metadata[key], tags={**tags, DATA_VERSION_TAG: versions[key]}
        )
        for key in versions
    ]
    batches = _batches(len(made))
    for each, batch in zip(made, batches, strict=True):
        DagsterEvent.asset_materialization(step, each, batch)


def log_evaluations(context: dg.AssetExecutionContext, evaluations: Sequence[dg.AssetCheckEvaluation]) -> None:
    """Log what a check found in each partition."""
    step = context.op_execution_context.get_step_execution_context()
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


def _provenance(context: dg.AssetExecutionContext, step: StepExecutionContext) -> Iterator[tuple[str, str]]:
    """Give the tags that Dagster finds stale assets by: the code, and each input's data version and newest event."""
    node = context.assets_def.specs_by_key[context.asset_key]
    yield CODE_VERSION_TAG, node.code_version or context.run.run_id
    yield DATA_VERSION_IS_USER_PROVIDED_TAG, "true"
    for dependency in node.deps:
        found = step.maybe_fetch_and_get_input_asset_version_info(dependency.asset_key)
        version = found.data_version if found and found.data_version else DEFAULT_DATA_VERSION
        yield get_input_data_version_tag(dependency.asset_key), version.value
        yield get_input_event_pointer_tag(dependency.asset_key), str(found.storage_id) if found else NULL_EVENT_POINTER
