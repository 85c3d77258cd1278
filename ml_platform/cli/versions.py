"""The command `versions`: what became of each version that was evaluated, and who let it serve or not, when and why."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ml_platform.cli.options import PROJECT, HomeOption
from ml_platform.cli.stores import echo_registry_faults, open_ledger

if TYPE_CHECKING:
    from ml_platform.contracts.evaluations import Evaluation
    from ml_platform.contracts.records import Answer, Decision, Outcome
    from ml_platform.contracts.spec.models import Approval
    from ml_platform.rollout.approval import ApprovalState


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(versions)


def versions(
    pipeline: Annotated[str, typer.Argument(help="A pipeline.")],
    home: HomeOption = Path(".ml_platform"),
    defs: Annotated[Path, typer.Option(help="Folder of the pipelines.")] = PROJECT / "ml_platform" / "defs",
) -> None:
    """List the versions that were evaluated, newest first: their gates, their approval, and which one serves."""
    from ml_platform.ledger.folds import evaluations
    from ml_platform.orchestration.freezing import find_pipeline, read_spec

    approval = read_spec(find_pipeline(defs.absolute(), pipeline)).approval
    decisions = open_ledger(home).read(pipeline)
    for evaluation in evaluations(decisions):
        typer.echo(_line(evaluation, decisions, approval))
    echo_registry_faults(home, pipeline, decisions)


def _line(evaluation: "Evaluation", decisions: "list[Decision]", approval: "Approval") -> str:
    from ml_platform.contracts.records import ModelVersion
    from ml_platform.deployment.controller import state_of
    from ml_platform.ledger.folds import approval_of, champion, promotions

    number, digest = evaluation.version, evaluation.digest
    version = ModelVersion(
        pipeline=evaluation.pipeline, version=number, digest=digest, as_of=evaluation.as_of, run_id=""
    )
    present, served = champion(decisions), digest in {each.digest for each in promotions(decisions)}
    role = "champion" if present and present.digest == digest else "former" if served else "-"
    state, answer = state_of(version, decisions, approval, datetime.now(UTC)), approval_of(decisions, number, digest)
    said = _approval(state, answer, evaluation.outcome, has_served=served)
    return f"v{number:<4} as of {evaluation.as_of}  {evaluation.outcome:<12}  {role:<8}  {said}"


def _approval(state: "ApprovalState", answer: "Answer | None", outcome: "Outcome", *, has_served: bool) -> str:
    from ml_platform.rollout.approval import Expired, Waiting

    said = ""
    if answer is not None:
        verb = "approved" if answer.is_approved else "rejected"
        said = f"{verb} by {answer.by} at {answer.at:%Y-%m-%d %H:%M} UTC: {answer.because}"
    if has_served:
        return said or "no approval asked"
    match state:
        case Waiting() if outcome != "pass":
            return "its gates stopped it"
        case Waiting(until):
            return f"waits for an approval until {until:%Y-%m-%d %H:%M} UTC"
        case Expired(at):
            return f"{said and said + '; '}the time was over at {at:%Y-%m-%d %H:%M} UTC"
        case _:
            return said or "no approval asked"
