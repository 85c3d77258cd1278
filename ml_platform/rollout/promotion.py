"""May this version become champion? Verdicts and approval come in as arguments, the answer goes out as a value.

Pure. Who acts on the answer, and writes it down, is `ml_platform.deployment.controller`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ml_platform.contracts.evaluations import Demand, Evaluation
from ml_platform.contracts.records import ModelVersion
from ml_platform.rollout.approval import ApprovalState, Expired, Rejected, Waiting


class PresentChampion(Protocol):
    """What has to be known of the version that serves by default."""

    @property
    def version(self) -> int:
        """Its number."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of its bundle's manifest."""
        ...

    @property
    def as_of(self) -> str:
        """The partition up to which it knew, `YYYY-MM-DD`."""
        ...


@dataclass(frozen=True)
class Promote:
    """The candidate becomes champion, in the place of `previous`."""

    previous: int | None


@dataclass(frozen=True)
class AlreadyChampion:
    """The candidate is the champion: nothing to decide."""


@dataclass(frozen=True)
class Wait:
    """Nothing speaks against the candidate but that a person has to approve it first; there is time until then."""

    until: datetime


@dataclass(frozen=True)
class Refuse:
    """The candidate may not become champion; every reason, as sentences."""

    reasons: tuple[str, ...]


def decide_promotion(
    candidate: ModelVersion,
    evaluation: Evaluation | None,
    champion: PresentChampion | None,
    gates: Mapping[str, Demand],
    *,
    approval: ApprovalState,
    is_named: bool,
    was_champion: bool = False,
    is_backfill: bool = False,
) -> Promote | AlreadyChampion | Wait | Refuse:
    """Decide whether the candidate becomes champion.

    Parameters
    ----------
    candidate : ModelVersion
        The version that asks.
    evaluation : Evaluation or None
        Its newest evaluation; one of another version or digest counts as none.
    champion : PresentChampion or None
        The version that serves now, if any.
    gates : mapping of str to Demand
        The gates that the spec demands, by name, each with what a verdict must have been given on. The basis is not
        asked of a rollback: it stands on the verdicts that it was promoted on.
    approval : ApprovalState
        Whether a person has let this very version serve. A rollback asks nobody again, but a rejection holds for it.
    is_named : bool
        Whether a person asked for this very version: only then may an older as-of replace a newer one.
    was_champion : bool
        Whether the evaluation is the one on which this version was promoted before. Named, it may then come back
        though it was compared with another champion: that is a rollback.
    is_backfill : bool
        Whether a backfill asks; it never moves traffic, unless the version is named.

    Returns
    -------
    Promote or AlreadyChampion or Wait or Refuse
        A refusal carries all reasons, not only the first. It waits only if there is no reason to refuse.
    """
    if champion and (candidate.version, candidate.digest) == (champion.version, champion.digest):
        return AlreadyChampion()
    is_rollback = is_named and was_champion
    if evaluation is None or not _is_of(evaluation, candidate):
        reasons = [f"Version {candidate.version} with digest {candidate.digest} was never evaluated: evaluate it."]
    else:
        reasons = list(_faults_of_verdicts(candidate, evaluation, gates))
        if not is_rollback:
            reasons += _faults_of_basis(evaluation, gates)
            reasons += _faults_of_rival(candidate, evaluation, champion)
    if not is_named:
        reasons += _faults_of_age(candidate, champion)
    if is_backfill and not is_named:
        reasons.append("A backfill never moves traffic: materialize the endpoint by itself, or name the version.")
    reasons += _faults_of_approval(candidate, approval, is_rollback=is_rollback)
    if reasons:
        return Refuse(tuple(reasons))
    if isinstance(approval, Waiting) and not is_rollback:
        return Wait(approval.until)
    return Promote(previous=champion.version if champion else None)


def _faults_of_approval(candidate: ModelVersion, approval: ApprovalState, *, is_rollback: bool) -> Iterator[str]:
    if isinstance(approval, Rejected):
        yield f"{approval.by} rejected version {candidate.version}: {approval.because}"
    if isinstance(approval, Expired) and not is_rollback:
        yield (
            f"The time to approve version {candidate.version} was over at {approval.at:%Y-%m-%d %H:%M} UTC: "
            "evaluate it again, then approve it."
        )


def _faults_of_verdicts(candidate: ModelVersion, evaluation: Evaluation, gates: Mapping[str, Demand]) -> Iterator[str]:
    given = {verdict.judged: verdict.bound for verdict in evaluation.verdicts}
    for gate, demand in gates.items():
        condition = demand.condition or gate
        if condition not in given:
            named = any(verdict.gate == gate for verdict in evaluation.verdicts)
            because = ": the verdict of this name is on another condition" if named else ""
            yield f"Gate {gate} gave no verdict on version {candidate.version}{because}: evaluate it again."
        elif given[condition] != demand.bound:
            yield f"Gate {gate} was judged at {given[condition]}, the spec says {demand.bound}: evaluate it again."
    if not given:
        yield f"The evaluation of version {candidate.version} holds no verdict at all."
    for verdict in evaluation.verdicts:
        if verdict.outcome != "pass":
            yield f"Gate {verdict.gate} says {verdict.outcome}: {verdict.sentence}"


def _faults_of_basis(evaluation: Evaluation, gates: Mapping[str, Demand]) -> Iterator[str]:
    demanded = {demand.condition or gate: demand for gate, demand in gates.items()}
    for verdict in evaluation.verdicts:
        demand = demanded.get(verdict.judged)
        if demand is not None and demand.bound == verdict.bound and demand.basis != verdict.basis:
            yield (
                f"What gate {verdict.gate} hangs on has changed since its verdict (its settings, the costs, or the "
                "function of its metric): evaluate it again."
            )


def _faults_of_rival(
    candidate: ModelVersion, evaluation: Evaluation, champion: PresentChampion | None
) -> Iterator[str]:
    present = champion.version if champion else None
    if evaluation.champion != present:
        yield (
            f"Version {candidate.version} was compared with {_called(evaluation.champion)}, but the champion is now "
            f"{_called(present)}: evaluate it again."
        )


def _faults_of_age(candidate: ModelVersion, champion: PresentChampion | None) -> Iterator[str]:
    if champion and candidate.as_of <= champion.as_of:
        yield (
            f"Version {candidate.version} is as of {candidate.as_of}, not newer than the champion's {champion.as_of}: "
            "name the version to promote it all the same."
        )


def _is_of(evaluation: Evaluation, candidate: ModelVersion) -> bool:
    evaluated = (evaluation.pipeline, evaluation.version, evaluation.digest)
    return evaluated == (candidate.pipeline, candidate.version, candidate.digest)


def _called(version: int | None) -> str:
    return "no champion" if version is None else f"version {version}"
