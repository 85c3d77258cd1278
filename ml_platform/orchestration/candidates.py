"""Which versions are candidates: those that the ledger knows, each by its digest.

`candidate` writes each version that it registers to the ledger. A version that only the registry shows is ignored, and
reported by name: whoever put it there, nothing was written down of how it was made.
"""

from collections.abc import Sequence
from pathlib import Path

from ml_platform.contracts.errors import LedgerConflict, RegistryError, VersionNotFound, examples
from ml_platform.contracts.ports import Ledger, ModelStore
from ml_platform.contracts.records import Decision, ModelVersion
from ml_platform.deployment.controller import ATTEMPTS_AT_MOST
from ml_platform.ledger.folds import next_seq
from ml_platform.ledger.identity import known_digest, known_number, known_versions, numbers, require_one_digest
from ml_platform.orchestration.deployed_bundle import deployed_bundle
from ml_platform.registry.bundle import Bundle


def register_candidate(
    pipeline: str, bundle: Bundle, models: ModelStore, ledger: Ledger, *, run_id: str, actor: str
) -> ModelVersion:
    """Register a bundle, and write to the ledger which digest its number names.

    A digest that the ledger knows keeps its number there, whatever number the registry gives it after a loss.

    Parameters
    ----------
    run_id : str
        The MLflow run of the fit.
    actor : str
        Who registers; stands in the ledger.
    """
    as_of, root = bundle.manifest.as_of, bundle.root
    for attempt in range(ATTEMPTS_AT_MOST):
        decisions = ledger.read(pipeline)
        version = _registered(pipeline, root, models, decisions, as_of=as_of, digest=bundle.digest, run_id=run_id)
        known = known_digest(decisions, bundle.digest)
        if known is not None:
            return known.model_copy(update={"run_id": version.run_id})
        require_one_digest(decisions, version)
        try:
            _write(version, decisions, ledger, actor)
        except LedgerConflict:  # another decision came first; it may have taken the number
            if attempt == ATTEMPTS_AT_MOST - 1:
                raise
        else:
            return version
    raise AssertionError("unreachable: the last attempt returns or raises")


def candidate_of(models: ModelStore, decisions: Sequence[Decision], pipeline: str, as_of: str | None) -> ModelVersion:
    """Return the newest known version of an as-of partition, or of the newest one, whose bundle is still there.

    Raises
    ------
    VersionNotFound
        If there is none; versions that only the registry shows are named.
    """
    known = [each for each in known_versions(decisions) if as_of in (None, each.as_of)]
    for version in sorted(known, key=lambda each: (each.as_of, each.version), reverse=True):
        if deployed_bundle(version) is not None or models.holds(version):
            return _with_run(version, models)
    strangers = [each for each in unknown_versions(models.listed(pipeline), decisions) if as_of in (None, each.as_of)]
    lost = [f"version {each.version} is gone from the registry, or its bundle is damaged" for each in known]
    ignored = [f"version {each.version} of the registry is not in the ledger" for each in strangers]
    raise VersionNotFound.because(
        f"{pipeline}: candidate as of {as_of or 'any day'}", got=examples([*lost, *ignored]) or "none",
        expected="a version that the ledger knows and the registry holds",
        hint="materialize candidate for this partition first",
    )  # fmt: skip


def asked_version(
    models: ModelStore, decisions: Sequence[Decision], pipeline: str, number: int | None, as_of: str | None
) -> ModelVersion:
    """Return the version that the ledger knows by a number, else the newest candidate of the partition.

    Raises
    ------
    VersionNotFound
        If the ledger does not know the number, or there is no candidate.
    """
    if number is None:
        return candidate_of(models, decisions, pipeline, as_of)
    version = known_number(decisions, number)
    if version is None:
        known = sorted(each.version for each in known_versions(decisions))
        raise VersionNotFound.because(
            f"{pipeline} version", got=number, expected=f"one that the ledger knows: {examples(known) or 'none yet'}",
            hint="materialize candidate and evaluation; what was only put into MLflow by hand is not served",
        )  # fmt: skip
    return _with_run(version, models)


def named_version(models: ModelStore, decisions: Sequence[Decision], registered_name: str, number: int) -> ModelVersion:
    """Return the version of a registered model that a number names: in the ledger, else in the registry.

    A member of an ensemble stands in the registry alone, and so does what was made before the ledger knew versions.

    Raises
    ------
    VersionNotFound
        If neither knows the number.
    """
    version = known_number(decisions, number)
    return models.version(registered_name, number) if version is None else _with_run(version, models)


def unknown_versions(listed: Sequence[ModelVersion], decisions: Sequence[Decision]) -> list[ModelVersion]:
    """Return the versions of the registry that the ledger knows neither by digest nor by number."""
    known = known_versions(decisions)
    digests, taken = {each.digest for each in known}, {each.version for each in known}
    return [each for each in listed if each.digest not in digests and each.version not in taken]


def _registered(
    pipeline: str,
    root: Path,
    models: ModelStore,
    decisions: Sequence[Decision],
    *,
    as_of: str,
    digest: str,
    run_id: str,
) -> ModelVersion:
    taken = numbers(decisions)
    return models.register(pipeline, root, as_of=as_of, digest=digest, run_id=run_id, taken=taken)


def _write(version: ModelVersion, decisions: Sequence[Decision], ledger: Ledger, actor: str) -> None:
    payload = version.model_dump(include={"digest", "as_of", "run_id"})
    ledger.append(
        version.pipeline, "registered", expected_seq=next_seq(decisions), actor=actor,
        because=f"fitted as of {version.as_of}", version=version.version, payload=payload,
    )  # fmt: skip


def _with_run(version: ModelVersion, models: ModelStore) -> ModelVersion:
    """Fill in the MLflow run of a version that was registered before the ledger kept it, or again since."""
    try:
        runs = {each.digest: each.run_id for each in models.listed(version.pipeline)}
    except RegistryError:  # a lost registry stops no version that is deployed; `registry_faults` reports it
        return version
    return version.model_copy(update={"run_id": runs.get(version.digest) or version.run_id})
