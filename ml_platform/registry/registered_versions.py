"""The versions that MLflow's registry holds, found by the content of their bundles.

Numbers and tags only say where to look first: a version can be deleted, registered again under another number, or have
its tags edited. What counts is a bundle of the digest that was asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ml_platform.contracts.errors import BundleDamaged, RegistryError, VersionNotFound
from ml_platform.contracts.records import ModelVersion
from ml_platform.registry.bundle import copy_bundle, open_bundle

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion

DIGEST, AS_OF = "digest", "as_of"  # tags
BUNDLE = "bundle"


def number_of(registered: "MlflowVersion") -> int:
    """Return the number of a registered version."""
    return int(registered.version)


@dataclass(frozen=True)
class RegisteredVersions:
    """What an MLflow registry holds.

    Parameters
    ----------
    url : str
        MLflow tracking and registry URI.
    """

    url: str
    _verified: set[tuple[str, int, int, str]] = field(default_factory=set, repr=False, compare=False)

    @property
    def client(self) -> "MlflowClient":
        """A client of the registry."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.url, registry_uri=self.url)

    def search(self, pipeline: str | None = None) -> "list[MlflowVersion]":
        """Return every version of a pipeline, or of all."""
        client, found, token = self.client, [], None
        wanted = None if pipeline is None else f"name = '{pipeline}'"
        while True:
            page = client.search_model_versions(wanted, page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def listed(self, pipeline: str | None = None) -> "list[MlflowVersion]":
        """Return what `search` does, of a registry that is there and answers.

        Raises
        ------
        RegistryError
            If it cannot be read; a database that is not there counts as that, not as an empty one.
        """
        from mlflow.exceptions import MlflowException

        path = Path(self.url.removeprefix("sqlite:///"))
        try:
            if self.url.startswith("sqlite:") and not path.exists():
                raise MlflowException(f"no database at {path}")
            return self.search(pipeline)
        except MlflowException as error:
            raise RegistryError.because(
                "MLflow", got=str(error).splitlines()[0], expected="the registered versions",
                hint="check MLFLOW_TRACKING_URI and --home, and that the server runs",
            ) from None  # fmt: skip

    def candidates(self, version: ModelVersion) -> "list[MlflowVersion]":
        """Return the versions that may hold a digest, the likeliest first: by tag, then by number."""
        found = [each for each in self.search(version.pipeline) if _may_be(each, version)]
        return sorted(found, key=lambda each: _distance(each, version))

    def find(self, version: ModelVersion) -> "MlflowVersion | None":
        """Return the version that holds a digest; None if none does."""
        return next((each for each in self.candidates(version) if self.is_of(each, version.digest)), None)

    def find_all(self, version: ModelVersion) -> "list[MlflowVersion]":
        """Return every version that holds a digest."""
        return [each for each in self.candidates(version) if self.is_of(each, version.digest)]

    def require(self, version: ModelVersion) -> str:
        """Return the registry's number of a version, as MLflow writes it.

        Raises
        ------
        VersionNotFound
            If no registered version holds its digest.
        """
        found = self.find(version)
        if found is None:
            raise not_registered(version)
        return str(found.version)

    def is_of(self, registered: "MlflowVersion", digest: str) -> bool:
        """Check whether a version's content is the bundle of a digest; it is downloaded for that once."""
        known = (registered.name, number_of(registered), registered.creation_timestamp or 0, digest)
        faults: list[Exception] = []
        if known not in self._verified:
            with keeping(faults), TemporaryDirectory() as folder:
                self.download(registered, digest, Path(folder) / BUNDLE)
                self._verified.add(known)
        return not faults

    def download(self, registered: "MlflowVersion", digest: str, place: Path) -> Path:
        """Copy a version's bundle to a folder, and return that.

        Raises
        ------
        BundleDamaged
            If it is not the bundle of the digest.
        """
        import mlflow.artifacts

        place.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=place.parent, prefix=".staged-") as staged:
            kept = self.client.get_model_version_download_uri(registered.name, str(registered.version))
            source = f"{kept}/artifacts/{BUNDLE}"  # a models:/ address would be looked up in MLflow's default registry
            found = mlflow.artifacts.download_artifacts(artifact_uri=source, dst_path=staged, tracking_uri=self.url)
            return copy_bundle(open_bundle(Path(found), digest), place).root


@contextmanager
def keeping(faults: list[Exception]) -> Iterator[None]:
    """Keep why a registered version does not hold the bundle that was asked for, so that the next one is looked at."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (BundleDamaged, MlflowException, OSError) as error:
        faults.append(error)


def not_registered(version: ModelVersion) -> VersionNotFound:
    """Build the error for a version whose bundle is not in the registry."""
    return VersionNotFound.because(
        f"{version.pipeline} version {version.version} of digest {version.digest[:12]} in MLflow", got="none",
        expected="a registered bundle of this digest",
        hint=f"materialize candidate as of {version.as_of} again: the same fit is registered under a free number",
    )  # fmt: skip


def _may_be(registered: "MlflowVersion", version: ModelVersion) -> bool:
    return registered.tags.get(DIGEST) == version.digest or number_of(registered) == version.version


def _distance(registered: "MlflowVersion", version: ModelVersion) -> tuple[bool, bool, int]:
    number = number_of(registered)
    return registered.tags.get(DIGEST) != version.digest, number != version.version, number
