"""The bundle of a champion, opened by the digest that the ledger holds.

A number is only a label: after a registry was lost, or a tag edited, the same number names another model. So neither
the registry's numbers nor its tags are asked, only for content of exactly this digest.
"""

from ml_platform.contracts.errors import BundleDamaged
from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.ledger.folds import Champion
from ml_platform.orchestration.resources import home
from ml_platform.registry.bundle import Bundle, open_bundle


def champion_bundle(pipeline: str, champion: Champion, models: ModelStore) -> Bundle:
    """Open the deployed bundle of a champion; if that is gone or damaged, what the registry holds of the same digest.

    Raises
    ------
    BundleDamaged
        If neither is a bundle of the champion's digest.
    """
    try:
        return open_bundle(home().bundles / pipeline / champion.digest, champion.digest)
    except BundleDamaged:
        version = ModelVersion(
            pipeline=pipeline, version=champion.version, digest=champion.digest, as_of=champion.as_of, run_id=""
        )
        return open_bundle(models.bundle(version), champion.digest)
