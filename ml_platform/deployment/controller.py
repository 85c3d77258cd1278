"""How a version becomes champion: the order of the steps, and what a crash between any two of them leaves behind.

The bundle goes out first, the ledger entry is the commit point, the alias is decoration that any later call repairs.
What may be promoted is decided in `ml_platform.rollout.promotion`.
"""

from collections.abc import Sequence

from ml_platform.contracts.errors import LedgerConflict, PromotionRefused
from ml_platform.contracts.ports import Ledger, ModelStore, Target
from ml_platform.contracts.records import Decision, ModelVersion
from ml_platform.ledger.folds import Champion, champion, evaluation_of, next_seq, promotions
from ml_platform.rollout.promotion import AlreadyChampion, Promote, Refuse, decide_promotion

ATTEMPTS_AT_MOST = 5


def promote(
    candidate: ModelVersion,
    *,
    ledger: Ledger,
    store: ModelStore,
    target: Target,
    gates: Sequence[str],
    is_named: bool,
    actor: str,
) -> Champion:
    """Make the candidate champion, if its evaluation allows it. Asked twice, it repairs and decides nothing new.

    Parameters
    ----------
    candidate : ModelVersion
        The version that asks.
    ledger, store, target : Ledger, ModelStore, Target
        Where it is decided, kept and served.
    gates : sequence of str
        Names of the gates that the spec demands.
    is_named : bool
        Whether a person asked for this very version, which then may be older than the champion.
    actor : str
        Who asks; stands in the ledger.

    Returns
    -------
    Champion
        The candidate, as champion.

    Raises
    ------
    PromotionRefused
        With every reason; the refusal stands in the ledger too.
    LedgerConflict
        If others kept deciding first.
    """
    attempts_left = ATTEMPTS_AT_MOST
    while True:
        attempts_left -= 1
        decisions = ledger.read(candidate.pipeline)
        evaluation = evaluation_of(decisions, candidate.version, candidate.digest)
        answer = decide_promotion(candidate, evaluation, champion(decisions), gates, is_named=is_named)
        if not isinstance(answer, Refuse):
            target.deploy(candidate, store.bundle(candidate))
        try:
            decisions += _written(answer, candidate, ledger, next_seq(decisions), actor)
        except LedgerConflict:
            if not attempts_left:
                raise
            continue
        if isinstance(answer, Refuse):
            raise _refused(candidate, answer)
        store.set_alias(candidate, "champion")
        store.drop_alias(candidate, "challenger")
        return promotions(decisions)[0]


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
