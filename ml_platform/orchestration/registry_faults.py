"""What MLflow shows otherwise than the ledger says: looked for at each tick and command, explained, and put right.

The ledger is the authority. What only reads reports a fault; `candidate`, `evaluation` and `endpoint` put the aliases
back. A deleted experiment stops every run that would be logged to it, so it is reported before one is started.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import dagster as dg

from ml_platform.contracts.errors import RegistryError, VersionNotFound
from ml_platform.contracts.ports import Ledger, ModelStore
from ml_platform.contracts.records import Decision, ModelVersion
from ml_platform.ledger.folds import Champion, champion, evaluation_of
from ml_platform.ledger.identity import known_digest, known_versions
from ml_platform.orchestration.candidates import unknown_versions
from ml_platform.orchestration.experiments import experiment_fault
from ml_platform.orchestration.mlflow_run import experiment_name

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


def registry_faults(pipeline: str, decisions: Sequence[Decision], models: ModelStore) -> list[str]:
    """Return a sentence for each thing that MLflow shows otherwise than the ledger says; nothing is changed."""
    if not known_versions(decisions):
        return []
    try:
        with _impatient():
            listed, aliases = models.listed(pipeline), models.aliases(pipeline)
    except RegistryError as error:
        return [str(error)]
    present = champion(decisions)
    numbers = _numbers_of(pipeline, present, listed, models)
    return [
        *_champion_faults(present, numbers, aliases),
        *_challenger_faults(present, decisions, listed, aliases),
        *_edited(decisions, listed),
        *_foreign(decisions, listed),
    ]


def mlflow_faults(pipeline: str, decisions: Sequence[Decision], models: ModelStore, url: str) -> list[str]:
    """Return what `registry_faults` does, and what stops runs from being logged.

    Parameters
    ----------
    url : str
        MLflow's tracking URI.
    """
    faults = registry_faults(pipeline, decisions, models)
    if not known_versions(decisions):
        return faults
    with _impatient():
        fault = experiment_fault(url, experiment_name(pipeline))
    return faults if fault is None else [str(fault), *faults]


def repair_aliases(pipeline: str, decisions: Sequence[Decision], models: ModelStore) -> None:
    """Point the aliases where the ledger says; a champion that the registry lost gets its alias once it is back."""
    present, listed, aliases = champion(decisions), models.listed(pipeline), models.aliases(pipeline)
    if present is None and "champion" in aliases:
        models.remove_alias(pipeline, "champion")
    elif present is not None and aliases.get("champion") not in _numbers_of(pipeline, present, listed, models):
        with suppress(VersionNotFound):  # it is reported as lost
            models.set_alias(_as_version(pipeline, present), "champion")
    if _challenger_faults(present, decisions, listed, aliases):
        models.remove_alias(pipeline, "challenger")


def report_faults(
    context: dg.AssetExecutionContext, pipeline: str, ledger: Ledger, models: ModelStore
) -> dict[str, str]:
    """Log what is wrong, put the aliases right, and return it as metadata; nothing where all is well."""
    decisions = ledger.read(pipeline)
    faults = registry_faults(pipeline, decisions, models)
    for fault in faults:
        context.log.warning(fault)
    if not faults:
        return {}
    with suppress(RegistryError):  # it is among the faults
        repair_aliases(pipeline, decisions, models)
    return {"registry": " ".join(faults)}


def _numbers_of(
    pipeline: str, present: Champion | None, listed: Sequence[ModelVersion], models: ModelStore
) -> set[int]:
    """Return the registry's numbers of the champion: by tag, or its own where the tag was edited."""
    if present is None:
        return set()
    tagged = {each.version for each in listed if each.digest == present.digest}
    return tagged or ({present.version} if models.holds(_as_version(pipeline, present)) else set())


def _champion_faults(present: Champion | None, numbers: set[int], aliases: Mapping[str, int]) -> list[str]:
    number = aliases.get("champion")
    if present is None:
        return (
            [] if number is None else [f"MLflow's alias champion points at version {number}; the ledger has none yet."]
        )
    if not numbers:
        return [
            f"The champion, version {present.version} of digest {present.digest[:12]}, is not in MLflow any more. It "
            f"serves from its deployed bundle; materialize candidate as of {present.as_of} to register it again."
        ]
    if number in numbers:
        return []
    return [
        f"MLflow's alias champion {'is missing' if number is None else f'points at version {number}'}; by the ledger "
        f"version {present.version} is champion, and serves. The next candidate, evaluation or endpoint puts it back."
    ]


def _challenger_faults(
    present: Champion | None, decisions: Sequence[Decision], listed: Sequence[ModelVersion], aliases: Mapping[str, int]
) -> list[str]:
    number = aliases.get("challenger")
    target = next((each for each in listed if each.version == number), None)
    if target is None:
        return []
    version = known_digest(decisions, target.digest)
    evaluation = None if version is None else evaluation_of(decisions, version.version, version.digest)
    points = f"MLflow's alias challenger points at version {number}"
    if evaluation is None or evaluation.outcome != "pass":
        return [f"{points}, which did not pass its gates by the ledger. The next candidate or evaluation removes it."]
    if present is not None and evaluation.as_of <= present.as_of:
        return [f"{points}, which is not newer than the champion. The next candidate or evaluation removes it."]
    return []


def _edited(decisions: Sequence[Decision], listed: Sequence[ModelVersion]) -> Iterator[str]:
    known = known_versions(decisions)
    by_number, by_digest = {each.version: each for each in known}, {each.digest: each for each in known}
    for each in listed:
        numbered, tagged = by_number.get(each.version), by_digest.get(each.digest)
        if numbered is not None and numbered.digest != each.digest:
            yield (
                f"MLflow's version {each.version} is tagged with digest {each.digest[:12] or 'none'}, the ledger knows "
                f"it as {numbered.digest[:12]}: the tag was edited, or it is another model. The ledger counts."
            )
        elif tagged is not None and tagged.as_of != each.as_of:
            yield (
                f"MLflow's version {each.version} is tagged as of {each.as_of or 'no day'}, the ledger says "
                f"{tagged.as_of}: the ledger counts."
            )


def _foreign(decisions: Sequence[Decision], listed: Sequence[ModelVersion]) -> Iterator[str]:
    for each in unknown_versions(listed, decisions):
        as_of = each.as_of or "no day"
        yield f"MLflow's version {each.version} (as of {as_of}) is not in the ledger: it is ignored."


def _as_version(pipeline: str, present: Champion) -> ModelVersion:
    named = present.model_dump(include={"version", "digest", "as_of"})
    return ModelVersion(pipeline=pipeline, run_id="", **named)


@contextmanager
def _impatient() -> Iterator[None]:
    """Let MLflow's client give up soon on a server that is down: a tick or a command that only looks does not wait."""
    before = os.environ.get(RETRIES)
    os.environ[RETRIES] = before or "2"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(RETRIES, None)
