"""The checklist before a deployment: each item with the evidence that the stores hold at this moment."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ml_platform.contracts.errors import examples
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import Certificate, Decision, LeakageCertificate
from ml_platform.contracts.spec import PipelineSpec, ServedGate
from ml_platform.data.quality.verdicts import PartitionVerdict
from ml_platform.data.splits.equations_finding import EQUATIONS
from ml_platform.ledger.folds import champion
from ml_platform.rollout.approval import ApprovalState, Approved, Expired, NotNeeded, Rejected, Waiting
from ml_platform.validation.report.checklist import Item


@dataclass(frozen=True)
class Evidence:
    """What is known of a version when its checklist is written.

    Parameters
    ----------
    decisions : sequence of Decision
        The pipeline's ledger.
    rows_digest : str
        Of the rows that it was fitted on, and that its evaluation found again.
    partitions : sequence of str
        Which the training set holds rows of.
    verdicts : mapping of str to PartitionVerdict
        Of those partitions.
    leakage : LeakageCertificate
        Of the rows that it was fitted on, as the fit asked for it.
    reproduction : Certificate or None
        What came of fitting it again; None if nobody has tried.
    """

    spec: PipelineSpec
    evaluation: Evaluation
    decisions: Sequence[Decision]
    approval: ApprovalState
    rows_digest: str
    partitions: Sequence[str]
    verdicts: Mapping[str, PartitionVerdict]
    leakage: LeakageCertificate
    reproduction: Certificate | None = None


def checklist(evidence: Evidence) -> tuple[Item, ...]:
    """Tick each item that the evidence supports."""
    return (
        _owner(evidence), _data(evidence), _leakage(evidence), *_comparisons(evidence), _gates(evidence),
        _served(evidence), _reproduced(evidence), _approved(evidence), _rollback(evidence), _monitoring(evidence),
    )  # fmt: skip


def _owner(evidence: Evidence) -> Item:
    owners = ", ".join(evidence.spec.owners)
    return Item("Somebody owns it", "done" if owners else "not done", owners or "the pipeline names no owners")


def _data(evidence: Evidence) -> Item:
    verdicts, partitions = evidence.verdicts, evidence.partitions
    bad = [key for key in partitions if key not in verdicts or verdicts[key].outcome != "pass"]
    said = f"{len(partitions) - len(bad)} of {len(partitions)} partitions passed their data checks"
    is_done = bool(partitions) and not bad
    return Item("Its data is trusted", "done" if is_done else "not done", said + (f"; not {bad[0]}" if bad else ""))


def _leakage(evidence: Evidence) -> Item:
    """List what was looked for and how it came out: more was not checked, so no more is claimed."""
    by_outcome = {
        outcome: [finding for finding in evidence.leakage.findings if finding.outcome == outcome]
        for outcome in ("violated", "warned", "ok")
    }
    counts = [
        f"{len(findings)} {outcome} ({', '.join(finding.name for finding in findings)})"
        for outcome, findings in by_outcome.items()
        if findings
    ]
    sentences = [
        finding.sentence
        for finding in evidence.leakage.findings
        if finding.outcome != "ok" or finding.name == EQUATIONS
    ]
    said = f"rows {evidence.rows_digest[:12]}: {', '.join(counts)}. {' '.join(sentences)}"
    return Item("Its rows keep their leakage certificate", "not done" if by_outcome["violated"] else "done", said)


def _comparisons(evidence: Evidence) -> Iterator[Item]:
    what, evaluation = "It was compared with the champion", evidence.evaluation
    if evaluation.champion is None:
        yield Item(what, "not applicable", "there was no champion yet")
    elif evaluation.metrics.get("champion"):
        yield Item(what, "done", f"version {evaluation.champion}, on holdout rows that neither was trained on")
    else:
        yield Item(what, "not done", f"version {evaluation.champion} could not be scored on the holdout")
    rivals = [name for name in ("prior", "last_value") if evaluation.metrics.get(name)]
    said = f"{', '.join(rivals) or 'none'}, on {evaluation.rows:,} rows"
    yield Item("It was compared with trivial models", "done" if rivals else "not done", said)


def _gates(evidence: Evidence) -> Item:
    verdicts, declared = evidence.evaluation.verdicts, len(evidence.spec.all_gates)
    passed = sum(verdict.outcome == "pass" for verdict in verdicts)
    is_done = evidence.evaluation.outcome == "pass" and len(verdicts) >= declared
    return Item("Every gate passed", "done" if is_done else "not done", f"{passed} of {max(declared, len(verdicts))}")


def _served(evidence: Evidence) -> Item:
    what, gates = "The real server answers as offline", [g for g in evidence.spec.gates if isinstance(g, ServedGate)]
    if not gates:
        return Item(what, "not applicable", "no gate of kind served is declared; the endpoint is checked later")
    conditions = {gate.condition for gate in gates}
    given = [verdict for verdict in evidence.evaluation.verdicts if verdict.judged in conditions]
    is_done = len(given) == len(conditions) and all(verdict.outcome == "pass" for verdict in given)
    return Item(what, "done" if is_done else "not done", " ".join(each.sentence for each in given) or "no verdict")


def _reproduced(evidence: Evidence) -> Item:
    what, name = "It can be made again", f"{evidence.evaluation.pipeline} {evidence.evaluation.version}"
    if (certificate := evidence.reproduction) is None:
        return Item(what, "not done", f"nobody has tried yet: ml-platform reproduce {name}")
    said = f"fitted again at {certificate.at:%Y-%m-%d %H:%M} UTC"
    if certificate.is_equal:
        return Item(what, "done", f"{said}, it came out the same to the last bit")
    return Item(what, "not done", f"{said}, it differed in {examples(each.name for each in certificate.broken)}")


def _approved(evidence: Evidence) -> Item:
    what = "A person has approved it"
    match evidence.approval:
        case NotNeeded():
            return Item(what, "not applicable", "approval is automatic in this pipeline")
        case Approved(by, until):
            return Item(what, "done", f"{by}, until {until:%Y-%m-%d %H:%M} UTC")
        case Waiting(until):
            return Item(what, "not done", f"there is time until {until:%Y-%m-%d %H:%M} UTC")
        case Expired(at):
            return Item(what, "not done", f"the time was over at {at:%Y-%m-%d %H:%M} UTC")
        case Rejected(by, because):
            return Item(what, "not done", f"{by} rejected it: {because}")


def _rollback(evidence: Evidence) -> Item:
    what, present = "There is a version to go back to", champion(evidence.decisions)
    if present is None or present.version == evidence.evaluation.version:
        return Item(what, "not applicable", "it is the first to serve")
    return Item(what, "done", f"version {present.version}, champion since {present.promoted_at:%Y-%m-%d %H:%M} UTC")


def _monitoring(evidence: Evidence) -> Item:
    what, watched, retrain = "It will be watched", evidence.spec.monitoring, evidence.spec.retrain
    said = f"drift over {watched.window.days} days, PSI at most {watched.psi_at_most:g}"
    if not retrain.when:
        return Item(what, "not done", f"{said}; but nothing asks for a retrain")
    return Item(what, "done", f"{said}; asks for a retrain on {', '.join(retrain.when)}")
