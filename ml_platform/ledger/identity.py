"""Which versions a ledger knows: each is one digest under one number, whatever the registry says by now.

Pure functions over decisions in order, oldest first. A version is known from the decision that registered it; in
ledgers that are older than such decisions, from its evaluation or its promotion. A refusal makes nothing known.
"""

from collections.abc import Sequence

from ml_platform.contracts.errors import IdentityConflict
from ml_platform.contracts.records import Decision, ModelVersion

NAMED_BY = ("registered", "evaluated", "promoted")


def known_versions(decisions: Sequence[Decision]) -> list[ModelVersion]:
    """Return each known digest as a version, in the order in which they became known.

    A ledger made before numbers were checked may hold a digest under several: the one it was promoted under counts,
    else the newest. `run_id` is empty where no decision tells it.
    """
    known: dict[str, ModelVersion] = {}
    promoted: set[str] = set()
    for decision in decisions:
        version = _named(decision)
        if version is None or (decision.kind != "promoted" and version.digest in promoted):
            continue
        before = known.get(version.digest)
        known[version.digest] = version.model_copy(
            update={"run_id": version.run_id or (before.run_id if before else "")}
        )
        promoted |= {version.digest} if decision.kind == "promoted" else set()
    return list(known.values())


def known_number(decisions: Sequence[Decision], number: int) -> ModelVersion | None:
    """Return the version that a number names; None if the ledger does not know the number."""
    return next((each for each in reversed(known_versions(decisions)) if each.version == number), None)


def known_digest(decisions: Sequence[Decision], digest: str) -> ModelVersion | None:
    """Return the version of a digest; None if the ledger does not know it."""
    return next((each for each in known_versions(decisions) if each.digest == digest), None)


def numbers(decisions: Sequence[Decision]) -> dict[int, str]:
    """Return the digest that each number names."""
    return {version.version: version.digest for decision in decisions if (version := _named(decision)) is not None}


def require_one_digest(decisions: Sequence[Decision], version: ModelVersion) -> None:
    """Check that a version's number names no other digest in the ledger.

    Raises
    ------
    IdentityConflict
        If it does: nothing may be decided on this version.
    """
    named = {each.digest for each in map(_named, decisions) if each is not None and each.version == version.version}
    if named and version.digest not in named:
        raise IdentityConflict.because(
            f"version {version.version} of {version.pipeline}", got=f"digest {version.digest[:12]}",
            expected=f"digest {', '.join(sorted(each[:12] for each in named))}, which the ledger knows by this number",
            hint="the registry was lost or edited: materialize candidate again, which registers it under a free number",
        )  # fmt: skip


def _named(decision: Decision) -> ModelVersion | None:
    digest, as_of = decision.payload.get("digest"), decision.payload.get("as_of")
    if decision.kind not in NAMED_BY or decision.version is None or not digest or not as_of:
        return None
    run_id = decision.payload.get("run_id") or ""
    return ModelVersion(pipeline=decision.pipeline, version=decision.version, digest=digest, as_of=as_of, run_id=run_id)
