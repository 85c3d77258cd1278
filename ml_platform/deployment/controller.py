"""How a version becomes champion: the order of the steps, and what a crash between any two of them leaves behind.

The bundle goes out first, the ledger entry is the commit point, the alias is decoration that any later call repairs.
A version that the registry has lost goes on from its deployed bundle.
What may be promoted is decided in `ml_platform.rollout.promotion`.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from ml_platform.contracts.errors import LedgerConflict, PromotionRefused, VersionNotFound
from ml_platform.contracts.evaluations import Demand
from ml_platform.contracts.ports import Ledger, ModelStore, Target
from ml_platform.contracts.records import Decision, ModelVersion
from ml_platform.contracts.spec.models import Approval
from ml_platform.ledger.folds import (
    Champion,
    approval_of,
    champion,
    evaluated_at,
    evaluation_of,
    next_seq,
    promotions,
)
from ml_platform.ledger.identity import require_one_digest
from ml_platform.rollout.approval import ApprovalState, approval_state
from ml_platform.rollout.promotion import AlreadyChampion, Promote, Refuse, Wait, decide_promotion

ATTEMPTS_AT_MOST = 5


def promote(
    candidate: ModelVersion,
    *,
    ledger: Ledger,
    store: ModelStore,
    target: Target,
    gates: Mapping[str, Demand],
    approval: Approval,
    is_named: bool,
    actor: str,
    is_backfill: bool = False,
    now: datetime | None = None,
) -> Champion | Wait:
    """Make the candidate champion, if its evaluation allows it. Asked twice, it repairs and decides nothing new.

    Parameters
    ----------
    candidate : ModelVersion
        The version that asks.
    ledger, store, target : Ledger, ModelStore, Target
        Where it is decided, kept and served.
    gates : mapping of str to Demand
        The gates that the spec demands, by name, each with what a verdict must have been given on.
    approval : Approval
        Whether a person has to approve it.
    is_named : bool
        Whether a person asked for this very version, which then may be older than the champion.
    actor : str
        Who asks; stands in the ledger.
    is_backfill : bool
        Whether a backfill asks; it is refused unless the version is named.
    now : datetime, optional
        The moment at which an approval has to hold; the present one if left out.

    Returns
    -------
    Champion or Wait
        The candidate, as champion; or, with nothing done or written, until when a person can approve it.

    Raises
    ------
    PromotionRefused
        With every reason; the refusal stands in the ledger too.
    IdentityConflict
        If the candidate's number names another digest in the ledger; nothing is written.
    VersionNotFound
        If its bundle is neither deployed nor registered.
    LedgerConflict
        If others kept deciding first.
    """
    attempts_left = ATTEMPTS_AT_MOST
    while True:
        attempts_left -= 1
        decisions = ledger.read(candidate.pipeline)
        require_one_digest(decisions, candidate)
        state = state_of(candidate, decisions, approval, now or datetime.now(UTC))
        answer = decide(candidate, decisions, gates, approval=state, is_named=is_named, is_backfill=is_backfill)
        if isinstance(answer, Wait):
            return answer
        if not isinstance(answer, Refuse):
            deployed = target.deployed_bundle(candidate.pipeline, candidate.digest)
            target.deploy(candidate, deployed or store.bundle(candidate))
        try:
            decisions += _written(answer, candidate, ledger, next_seq(decisions), actor)
        except LedgerConflict:
            if not attempts_left:
                raise
            continue
        if isinstance(answer, Refuse):
            raise _refused(candidate, answer)
        with suppress(VersionNotFound):  # the registry lost it; `registry_faults` reports that
            store.set_alias(candidate, "champion")
        store.drop_alias(candidate, "challenger")
        return promotions(decisions)[0]


def state_of(candidate: ModelVersion, decisions: list[Decision], approval: Approval, now: datetime) -> ApprovalState:
    """Give the state of a version's approval, from the decisions of its pipeline."""
    of_it = (candidate.version, candidate.digest)
    at, answer = evaluated_at(decisions, *of_it), approval_of(decisions, *of_it)
    return approval_state(approval, evaluated_at=at, answer=answer, now=now)


def decide(
    candidate: ModelVersion,
    decisions: list[Decision],
    gates: Mapping[str, Demand],
    *,
    approval: ApprovalState,
    is_named: bool,
    is_backfill: bool = False,
) -> Promote | AlreadyChampion | Wait | Refuse:
    """Decide on the newest evaluation; for a version that was champion before, on the one it was promoted on."""
    former = next((each for each in promotions(decisions) if each.digest == candidate.digest), None)
    judged_until = decisions if former is None else [each for each in decisions if each.seq <= former.seq]
    return decide_promotion(
        candidate,
        evaluation_of(judged_until, candidate.version, candidate.digest),
        champion(decisions),
        gates,
        approval=approval,
        is_named=is_named,
        was_champion=former is not None,
        is_backfill=is_backfill,
    )


def _written(
    answer: Promote | AlreadyChampion | Refuse, candidate: ModelVersion, ledger: Ledger, seq: int, actor: str
) -> list[Decision]:
    """Write the answer as the decision after those it was made on; what is so already is not written again."""
    match answer:
        case AlreadyChampion():
            return []
        case Promote(previous):
            kind, because = "promoted", "every gate passed"
            payload = {"digest": candidate.digest, "as_of": candidate.as_of, "previous": previous}
        case Refuse(reasons):
            kind, because = "promotion_refused", " ".join(reasons)
            payload = {"digest": candidate.digest, "as_of": candidate.as_of, "reasons": reasons}
    return [
        ledger.append(
            candidate.pipeline,
            kind,
            expected_seq=seq,
            actor=actor,
            because=because,
            version=candidate.version,
            payload=payload,
        )
    ]


def _refused(candidate: ModelVersion, answer: Refuse) -> PromotionRefused:
    return PromotionRefused.because(
        f"version {candidate.version} of {candidate.pipeline}",
        got=" ".join(answer.reasons),
        expected="every gate to pass against the present champion",
        hint="mend what the reasons name, evaluate the version again, then promote.",
    )
