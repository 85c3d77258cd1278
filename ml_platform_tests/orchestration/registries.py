"""Registries that people damage behind the platform's back: the one in memory, and a real MLflow on SQLite."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ml_platform.contracts.ports import ModelStore
from ml_platform.contracts.records import ModelVersion
from ml_platform.registry.bundle import Bundle
from ml_platform.registry.registered_versions import BUNDLE
from ml_platform.registry.store import MlflowStore
from ml_platform_tests.fakes.bundles import PIPELINE
from ml_platform_tests.fakes.model_store import InMemoryModelStore


class Registry(Protocol):
    """A store, and what others can do to it."""

    @property
    def store(self) -> ModelStore:
        """The store as the platform uses it."""
        ...

    def delete_model(self) -> None:
        """Delete every version: the registered model itself."""
        ...

    def delete_version(self, number: int) -> None:
        """Delete one version."""
        ...

    def edit(self, number: int, tag: str, value: str) -> None:
        """Edit a tag of a version."""
        ...

    def move_alias(self, alias: str, number: int) -> None:
        """Point an alias at a version."""
        ...

    def add_foreign(self, bundle: Bundle, as_of: str, digest: str) -> int:
        """Put a version there by hand, with tags of one's own; returns its number."""
        ...


class InMemory:
    """The fake."""

    def __init__(self, folder: Path) -> None:
        self.memory = InMemoryModelStore(folder)
        self.store: ModelStore = self.memory

    def delete_model(self) -> None:
        """Delete every version."""
        self.memory.delete_all(PIPELINE)

    def delete_version(self, number: int) -> None:
        """Delete one version."""
        self.memory.delete(PIPELINE, number)

    def edit(self, number: int, tag: str, value: str) -> None:
        """Edit a tag of a version."""
        self.memory.edit(PIPELINE, number, **{tag: value})

    def move_alias(self, alias: str, number: int) -> None:
        """Point an alias at a version."""
        self.memory.point(PIPELINE, alias, number)

    def add_foreign(self, bundle: Bundle, as_of: str, digest: str) -> int:
        """Put a version there by hand."""
        number = self.memory.next_number(PIPELINE)
        version = ModelVersion(pipeline=PIPELINE, version=number, digest=digest, as_of=as_of, run_id="by hand")
        self.memory.add(version, bundle.root, content=bundle.digest)
        return number


class Mlflow:
    """A real MLflow, through its own client."""

    def __init__(self, url: str, cache: Path, loader: Path, run_id: str) -> None:
        from mlflow import MlflowClient

        self.store: ModelStore = MlflowStore(url, cache, loader)
        self.client = MlflowClient(tracking_uri=url, registry_uri=url)
        self.run_id = run_id

    def delete_model(self) -> None:
        """Delete every version, with the registered model."""
        if self.client.search_registered_models(filter_string=f"name = '{PIPELINE}'"):
            self.client.delete_registered_model(PIPELINE)

    def delete_version(self, number: int) -> None:
        """Delete one version."""
        self.client.delete_model_version(PIPELINE, str(number))

    def edit(self, number: int, tag: str, value: str) -> None:
        """Edit a tag of a version."""
        self.client.set_model_version_tag(PIPELINE, str(number), tag, value)

    def move_alias(self, alias: str, number: int) -> None:
        """Point an alias at a version."""
        self.client.set_registered_model_alias(PIPELINE, alias, str(number))

    def add_foreign(self, bundle: Bundle, as_of: str, digest: str) -> int:
        """Put a version there by hand, whose artifacts are a folder with the bundle where the platform keeps it."""
        if not self.client.search_registered_models(filter_string=f"name = '{PIPELINE}'"):
            self.client.create_registered_model(PIPELINE)
        source = bundle.root.parent / f"model-of-{bundle.root.name}"
        place = source / "artifacts" / BUNDLE
        if not place.exists():
            place.parent.mkdir(parents=True)
            place.symlink_to(bundle.root)
        tags = {"as_of": as_of, "digest": digest}
        made = self.client.create_model_version(PIPELINE, source.as_uri(), run_id=self.run_id, tags=tags)
        return int(made.version)


@contextmanager
def real_mlflow(root: Path) -> Iterator[Mlflow]:
    """Make an MLflow on SQLite with an active run, for the length of a `with` block."""
    import os

    import mlflow

    from ml_platform import deployment

    before = os.environ.get("MLFLOW_TRACKING_URI")
    url = f"sqlite:///{root}/mlflow.db"
    mlflow.set_tracking_uri(url)
    experiment = mlflow.MlflowClient(url).create_experiment("e", artifact_location=(root / "artifacts").as_uri())
    try:
        with mlflow.start_run(experiment_id=experiment) as run:
            yield Mlflow(url, root / "cache", Path(deployment.__path__[0]) / "mlflow_model.py", run.info.run_id)
    finally:
        mlflow.set_tracking_uri(before or "")
        if before is None:
            os.environ.pop("MLFLOW_TRACKING_URI", None)
