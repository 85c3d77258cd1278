"""Approval in Dagster: how a version that waits for a person is shown, and the sensor that lets an approved one serve.

The sensor may tick twice over the same approval: Dagster launches a run key once, and a version that was promoted in
the meantime is left out.
"""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import Answer, Decision, ModelVersion
from ml_platform.ledger.folds import answer_of, approval_of, promotions
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.rollout.promotion import Wait

INTERVAL_S = 15


def waiting(context: dg.AssetExecutionContext, version: ModelVersion, wait: Wait) -> dg.AssetObservation:
    """Show that a version is parked; the endpoint is not materialized, and serves what it did."""
    until = f"{wait.until:%Y-%m-%d %H:%M} UTC"
    sentence = f"Version {version.version} passed its gates and waits for an approval until {until}."
    context.log.warning(f"{sentence} Nothing was promoted.")
    metadata: dict[str, Any] = {
        "waiting": sentence,
        "version": version.version,
        "as_of": version.as_of,
        "digest": version.digest,
        "until": dg.MetadataValue.timestamp(wait.until),
        "how": dg.MetadataValue.md(how_to_answer(version)),
    }
    return dg.AssetObservation(context.asset_key, description=sentence, metadata=metadata)


def answer_metadata(answer: Answer | None) -> dict[str, Any]:
    """Show who let a version serve, when and why; nothing where nobody was asked."""
    if answer is None:
        return {}
    at = dg.MetadataValue.timestamp(answer.at)
    return {"approved_by": answer.by, "approved_at": at, "approved_because": answer.because}


def how_to_answer(version: ModelVersion) -> str:
    """Give the commands, as Markdown."""
    named = f"{version.pipeline} {version.version} --by NAME --because"
    return f'`ml-platform approve {named} "..."`, or `ml-platform reject {named} "..."`'


def approval_sensors(pipeline: Pipeline) -> list[dg.SensorDefinition]:
    """Make the sensor of a pipeline whose versions a person approves; on by default: it does what a person has said."""
    if pipeline.spec.approval.mode == "automatic":
        return []

    @dg.sensor(
        name=f"{pipeline.name}_approval",
        target=dg.AssetSelection.assets([pipeline.name, "endpoint"]),
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Materializes the endpoint with a version that a person has approved.",
    )
    def watch(context: dg.SensorEvaluationContext, ledger: dg.ResourceParam[Ledger]) -> dg.SensorResult | dg.SkipReason:
        decisions = ledger.read(pipeline.name)
        seen = int(context.cursor or 0)
        new = [each for each in decisions if each.kind == "approved" and each.seq > seen]
        requests = [_request(pipeline, each) for each in new if _stands(answer_of(each), decisions)]
        if not requests:
            return dg.SkipReason("no new approval")
        return dg.SensorResult(run_requests=requests, cursor=str(decisions[-1].seq))

    return [watch]


def _stands(approval: Answer, decisions: list[Decision]) -> bool:
    """Tell whether nothing has overtaken an approval: time, another answer, or the promotion itself."""
    is_over = approval.expires_at is None or approval.expires_at <= datetime.now(UTC)
    is_done = any(each.digest == approval.digest for each in promotions(decisions[approval.seq :]))
    return not is_over and not is_done and approval_of(decisions, approval.version, approval.digest) == approval


def _request(pipeline: Pipeline, approval: Decision) -> dg.RunRequest:
    return dg.RunRequest(
        run_key=f"approval-{approval.hash}",
        run_config={"ops": {f"{pipeline.name}__endpoint": {"config": {"version": approval.version}}}},
        tags={"ml_platform/reason": f"{approval.actor} approved version {approval.version}"},
    )
