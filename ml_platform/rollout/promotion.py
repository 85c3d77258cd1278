"""May this version become champion? The verdicts come in as an argument and the answer goes out as a value.

Pure. Who acts on the answer, and writes it down, is `ml_platform.deployment.controller`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ml_platform.contracts.records import Evaluation, ModelVersion


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
class Refuse:
    """The candidate may not become champion; every reason, as sentences."""

    reasons: tuple[str, ...]


def decide_promotion(
    candidate: ModelVersion,
    evaluation: Evaluation | None,
    champion: PresentChampion | None,
    gates: Sequence[str],
    *,
    is_named: bool,
) -> Promote | AlreadyChampion | Refuse:
    """Decide whether the candidate becomes champion.

    Parameters
    ----------
    candidate : ModelVersion
        The version that asks.
    evaluation : Evaluation or None
        Its newest evaluation; one of another version or digest counts as none.
    champion : PresentChampion or None
        The version that serves now, if any.
    gates : sequence of str
        Names of the gates that the spec demands.
    is_named : bool
        Whether a person asked for this very version: only then may an older as-of replace a newer one.

    Returns
    -------
    Promote or AlreadyChampion or Refuse
        A refusal carries all reasons, not only the first.
    """
    if champion and (candidate.version, candidate.digest) == (champion.version, champion.digest):
        return AlreadyChampion()
    reasons = list(_faults_of_evaluation(candidate, evaluation, champion, gates))
    if not is_named:
        reasons += _faults_of_age(candidate, champion)
    return Refuse(tuple(reasons)) if reasons else Promote(previous=champion.version if champion else None)


def _faults_of_evaluation(
    candidate: ModelVersion, evaluation: Evaluation | None, champion: PresentChampion | None, gates: Sequence[str]
) -> Iterator[str]:
    if evaluation is None or not _is_of(evaluation, candidate):
        yield f"Version {candidate.version} with digest {candidate.digest} was never evaluated: evaluate it."
        return
    given = {verdict.gate for verdict in evaluation.verdicts}
    for gate in gates:
        if gate not in given:
            yield f"Gate {gate} gave no verdict on version {candidate.version}: evaluate it again."
    if not given:
        yield f"The evaluation of version {candidate.version} holds no verdict at all."
    for verdict in evaluation.verdicts:
        if verdict.outcome != "pass":
            yield f"Gate {verdict.gate} says {verdict.outcome}: {verdict.sentence}"
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
