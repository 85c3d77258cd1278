"""The bundle of a version, opened by the digest that the ledger holds: the deployed one, else the registry's.

A number is only a label: after a registry was lost, or a tag edited, the same number names another model. So neither
the registry's numbers nor its tags are asked, only for content of exactly this digest.
"""

from ml_platform.contracts.errors import BundleDamaged
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.ledger.folds import Champion
from ml_platform.orchestration.resources import home
from ml_platform.registry.bundle import Bundle, open_bundle


def version_bundle(version: ModelVersion, models: ModelStore) -> Bundle:
    """Open the deployed bundle of a version; if there is none, or it is damaged, the registry's of the same digest.

    Raises
    ------
    BundleDamaged, VersionNotFound
        If neither is a bundle of the version's digest.
    """
    return deployed_bundle(version) or open_bundle(models.bundle(version), version.digest)


def champion_bundle(pipeline: str, champion: Champion, models: ModelStore) -> Bundle:
    """Open the bundle of a champion; raises as `version_bundle` does."""
    named = champion.model_dump(include={"version", "digest", "as_of"})
    return version_bundle(ModelVersion(pipeline=pipeline, run_id="", **named), models)


def deployed_bundle(version: ModelVersion) -> Bundle | None:
    """Open the bundle of a version where servers read it; None if it is not there, or damaged."""
    try:
        return open_bundle(home().bundles / version.pipeline / version.digest, version.digest)
    except BundleDamaged:
        return None
