"""One bundle, one version: how a bundle is registered once, whoever does it at the same time, under a free number.

MLflow counts versions up and never uses a number twice while the registered model exists; once that was deleted, or
restored from a backup, it counts from the start again. So a number that is in use elsewhere is made and deleted at
once, until the next one is free. Processes on one machine wait for each other; over machines, whoever finds that
another was faster deletes its own version, and all settle on the lowest number.
"""

import fcntl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.contracts.records import ModelVersion
from ml_platform.registry.registered_versions import AS_OF, DIGEST, RegisteredVersions, number_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.models.model import ModelInfo


def choose(found: Sequence["MlflowVersion"], digest: str, taken: Mapping[int, str]) -> "MlflowVersion | None":
    """Return the version to use of several that hold one bundle: the one with its own number, else the lowest free one.

    Parameters
    ----------
    taken : mapping of int to str
        The digest that each number names elsewhere.
    """
    usable = [each for each in found if is_free(number_of(each), digest, taken)]
    return min(usable, key=lambda each: (number_of(each) not in taken, number_of(each)), default=None)


def is_free(number: int, digest: str, taken: Mapping[int, str]) -> bool:
    """Check whether a version may have a number: its own one, or one above all that are taken."""
    return taken[number] == digest if number in taken else number > max(taken, default=0)


def ensure_model(client: "MlflowClient", pipeline: str) -> None:
    """Create the registered model of a pipeline if there is none."""
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(pipeline)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def create_settled(
    registry: RegisteredVersions, asked: ModelVersion, model: "ModelInfo", taken: Mapping[int, str]
) -> "MlflowVersion":
    """Create the version of a logged model, and return the one that all who registered its bundle at once use.

    Parameters
    ----------
    asked : ModelVersion
        Pipeline, digest, as-of and run of the version.
    taken : mapping of int to str
        The digest that each number names elsewhere.
    """
    client, tags = registry.client, {AS_OF: asked.as_of, DIGEST: asked.digest}
    ensure_model(client, asked.pipeline)
    while True:
        created = client.create_model_version(
            asked.pipeline, model.model_uri, run_id=asked.run_id, tags=tags, model_id=model.model_id
        )
        if is_free(number_of(created), asked.digest, taken):
            return _settle(client, created, registry.find_all(asked), asked.digest, taken)
        client.delete_model_version(created.name, str(created.version))


def _settle(
    client: "MlflowClient",
    created: "MlflowVersion",
    alike: Sequence["MlflowVersion"],
    digest: str,
    taken: Mapping[int, str],
) -> "MlflowVersion":
    """Keep the lowest number of several: they grow, so whoever made a higher one sees the lower one afterwards."""
    chosen = choose([*alike, created], digest, taken) or created
    if number_of(chosen) != number_of(created):
        client.delete_model_version(created.name, str(created.version))
    return chosen


def repair_tags(client: "MlflowClient", version: "MlflowVersion", tags: Mapping[str, str]) -> None:
    """Write the tags of a version where they were edited."""
    for name, value in tags.items():
        if version.tags.get(name) != value:
            client.set_model_version_tag(version.name, version.version, name, value)


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Let one process of this machine in at a time; the system opens the lock of one that dies."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
