"""A person approves a version that waits, or rejects one: what they may say, and how it is written to the ledger.

Who they are is only a name: nothing here checks it. Whether an approval is needed, and how long it holds, is decided in
`ml_platform.rollout.approval`.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal

from ml_platform.contracts.errors import ApprovalRefused, LedgerConflict, VersionNotFound, examples
from ml_platform.contracts.evaluations import Demand
from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import Answer, Decision, ModelVersion
from ml_platform.contracts.spec.models import Approval
from ml_platform.deployment.controller import ATTEMPTS_AT_MOST, decide, state_of
from ml_platform.ledger.folds import answer_of, approval_of, champion, next_seq, promotions
from ml_platform.ledger.identity import require_one_digest
from ml_platform.rollout.approval import Approved, Rejected
from ml_platform.rollout.promotion import AlreadyChampion, Promote, Refuse, Wait

NAME_AT_MOST, REASON_AT_MOST = 100, 2000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")


def evaluated_version(ledger: Ledger, pipeline: str, number: int, digest: str = "") -> ModelVersion:
    """Give the version of a number as it was last evaluated; the registry is not asked.

    Parameters
    ----------
    digest : str
        What the version's digest has to begin with.

    Raises
    ------
    VersionNotFound
        If it was never evaluated.
    ApprovalRefused
        If it has another digest.
    """
    found = {each.version: each for each in ledger.read(pipeline) if each.kind == "evaluated"}
    if number not in found:
        known = sorted(each for each in found if each is not None)
        raise VersionNotFound.because(
            f"{pipeline} version", got=number, expected=f"one that was evaluated: {examples(known) or 'none yet'}",
            hint="materialize candidate and evaluation, and check --home",
        )  # fmt: skip
    payload = found[number].payload
    version = ModelVersion(
        pipeline=pipeline, version=number, digest=payload["digest"], as_of=payload["as_of"], run_id=""
    )
    if not version.digest.startswith(digest):
        raise _refused(version, f"digest {version.digest[:12]}, not {digest[:64]}", "look at its report again")
    return version


def approve(
    version: ModelVersion,
    *,
    ledger: Ledger,
    gates: Mapping[str, Demand],
    approval: Approval,
    by: str,
    because: str,
    now: datetime | None = None,
) -> Answer:
    """Let a version serve that only waits for this: whatever else stops it, stops the approval too.

    Parameters
    ----------
    gates : mapping of str to Demand
        The gates that the spec demands, by name, each with what a verdict must have been given on.
    approval : Approval
        What the spec demands.
    by, because : str
        Who says so, and why; the name is written down as it is given.
    now : datetime, optional
        The present moment if left out.

    Raises
    ------
    ApprovalRefused
        If a name or a reason is missing, or the version does not wait for an approval; says why.
    LedgerConflict
        If others kept deciding first.
    """
    at = now or datetime.now(UTC)

    def against(decisions: list[Decision]) -> tuple[str, str] | None:
        return _against_approval(version, decisions, gates, approval, at)

    return _answered(version, ledger, "approved", by, because, at + approval.within, against)


def reject(version: ModelVersion, *, ledger: Ledger, by: str, because: str) -> Answer:
    """Keep a version from serving, for good; one that serves is replaced first, by promoting another.

    Parameters
    ----------
    by, because : str
        Who says so, and why; the name is written down as it is given.

    Raises
    ------
    ApprovalRefused
        If a name or a reason is missing, the version serves, or it was rejected already.
    LedgerConflict
        If others kept deciding first.
    """

    def against(decisions: list[Decision]) -> tuple[str, str] | None:
        return _against_rejection(version, decisions)

    return _answered(version, ledger, "rejected", by, because, None, against)


def _answered(
    version: ModelVersion,
    ledger: Ledger,
    kind: Literal["approved", "rejected"],
    by: str,
    because: str,
    expires_at: datetime | None,
    against: Callable[[list[Decision]], tuple[str, str] | None],
) -> Answer:
    """Append the answer after the decisions it was given on; whoever is overtaken reads them again."""
    name, reason = _said("--by", by, NAME_AT_MOST), _said("--because", because, REASON_AT_MOST)
    attempts_left = ATTEMPTS_AT_MOST
    while True:
        attempts_left -= 1
        decisions = ledger.read(version.pipeline)
        require_one_digest(decisions, version)
        if (refusal := against(decisions)) is not None:
            raise _refused(version, *refusal)
        payload = {"digest": version.digest, "by": name, "expires_at": expires_at and expires_at.isoformat()}
        seq, number = next_seq(decisions), version.version
        try:
            written = ledger.append(
                version.pipeline, kind, expected_seq=seq, actor=name, because=reason, version=number, payload=payload
            )
        except LedgerConflict:
            if not attempts_left:
                raise
        else:
            return answer_of(written)


def _against_approval(
    version: ModelVersion, decisions: list[Decision], gates: Mapping[str, Demand], approval: Approval, now: datetime
) -> tuple[str, str] | None:
    """Say why a version cannot be approved, and what to do; None if it can."""
    if approval.mode == "automatic":
        return "a pipeline whose approval is automatic", "nobody has to approve; set approval: manual in its YAML"
    state = state_of(version, decisions, approval, now)
    is_former = version.digest in {each.digest for each in promotions(decisions)}
    match decide(version, decisions, gates, approval=state, is_named=True):
        case Wait():
            return None
        case AlreadyChampion():
            return "the champion", "it serves already"
        case Promote() if isinstance(state, Approved) and not is_former:
            until = f"{state.until:%Y-%m-%d %H:%M} UTC"
            return f"a version that {state.by} has approved, until {until}", "materialize the endpoint to promote it"
        case Promote():
            return "a former champion", "it comes back without an approval: materialize the endpoint with its version"
        case Refuse(reasons):
            hint = "a rejection is final: train another" if isinstance(state, Rejected) else "mend what is named first"
            return " ".join(reasons), hint


def _against_rejection(version: ModelVersion, decisions: list[Decision]) -> tuple[str, str] | None:
    present = champion(decisions)
    if present is not None and present.digest == version.digest:
        return "the champion", "promote another version by its number first, then reject this one"
    before = approval_of(decisions, version.version, version.digest)
    if before is not None and not before.is_approved:
        return f"a version that {before.by} has rejected: {before.because}", "nothing is left to be said of it"
    return None


def _said(option: str, text: str, at_most: int) -> str:
    said = _CONTROL.sub(" ", text).strip()
    if not said or len(said) > at_most:
        raise ApprovalRefused.because(
            option,
            got=f"{len(said)} characters" if said else "nothing",
            expected=f"1 to {at_most} characters",
            hint="say who you are and why, in a sentence that others will read later",
        )
    return said


def _refused(version: ModelVersion, got: str, hint: str) -> ApprovalRefused:
    return ApprovalRefused.because(
        f"version {version.version} of {version.pipeline}",
        got=got,
        expected="a version that waits for an answer",
        hint=hint,
    )
