"""One bundle, one version: how a bundle is registered once, whoever does it at the same time, under a free number.

MLflow counts versions up and never uses a number twice while the registered model exists; once that was deleted, or
restored from a backup, it counts from the start again. So a number that is in use elsewhere is made and deleted at
once, until the next one is free. Processes on one machine wait for each other; over machines, whoever finds that
another was faster deletes its own version, and all settle on the lowest number.
"""

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.registry.registered_versions import number_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion


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


def create_free(
    client: "MlflowClient", create: Callable[[], "MlflowVersion"], digest: str, taken: Mapping[int, str]
) -> "MlflowVersion":
    """Create a version under a free number; what got a taken number on the way is deleted again."""
    while True:
        created = create()
        if is_free(number_of(created), digest, taken):
            return created
        client.delete_model_version(created.name, created.version)


def settle(
    client: "MlflowClient", created: "MlflowVersion", alike: Sequence["MlflowVersion"], digest: str,
    taken: Mapping[int, str],
) -> "MlflowVersion":  # fmt: skip
    """Return the version that all who registered one bundle at the same time use; the own one is deleted if it is not.

    Numbers grow, so whoever made a higher one sees the lower one when it looks afterwards.

    Parameters
    ----------
    alike : sequence of MlflowVersion
        What holds the bundle, looked up after `created` was made.
    """
    chosen = choose([*alike, created], digest, taken) or created
    if number_of(chosen) != number_of(created):
        client.delete_model_version(created.name, created.version)
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
