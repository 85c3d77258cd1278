"""How a version becomes champion: the order of the steps, and what a crash between any two of them leaves behind.

The bundle goes out first, the ledger entry is the commit point, the alias is decoration that any later call repairs.
What may be promoted is decided in `ml_platform.rollout.promotion`.
"""

from collections.abc import Mapping

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
    gates: Mapping[str, float],
    is_named: bool,
    actor: str,
    is_backfill: bool = False,
) -> Champion:
    """Make the candidate champion, if its evaluation allows it. Asked twice, it repairs and decides nothing new.

    Parameters
    ----------
    candidate : ModelVersion
        The version that asks.
    ledger, store, target : Ledger, ModelStore, Target
        Where it is decided, kept and served.
    gates : mapping of str to float
        The gates that the spec demands, by name, each with its bound.
    is_named : bool
        Whether a person asked for this very version, which then may be older than the champion.
    actor : str
        Who asks; stands in the ledger.
    is_backfill : bool
        Whether a backfill asks; it is refused unless the version is named.

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
        answer = _answer(candidate, decisions, gates, is_named=is_named, is_backfill=is_backfill)
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


def _answer(
    candidate: ModelVersion, decisions: list[Decision], gates: Mapping[str, float], *, is_named: bool, is_backfill: bool
) -> Promote | AlreadyChampion | Refuse:
    """Decide on the newest evaluation; for a version that was champion before, on the one it was promoted on."""
    former = next((each for each in promotions(decisions) if each.digest == candidate.digest), None)
    judged_until = decisions if former is None else [each for each in decisions if each.seq <= former.seq]
    return decide_promotion(
        candidate,
        evaluation_of(judged_until, candidate.version, candidate.digest),
        champion(decisions),
        gates,
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
