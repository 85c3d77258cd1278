"""The model registry in memory; bundles are copied into a given folder, as a real store would keep them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ml_platform.contracts.errors import VersionNotFound
from ml_platform.contracts.records import Certificate, Evaluation, ModelVersion


class InMemoryModelStore:
    """`contracts.ports.ModelStore` for one process.

    Parameters
    ----------
    folder : Path
        Keeps the bundles: `<pipeline>/<version>/`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions: dict[str, list[ModelVersion]] = {}
        self._aliases: dict[str, dict[str, int]] = {}
        self.notes: dict[tuple[str, int], Evaluation] = {}
        self.environments: dict[tuple[str, int], Mapping[str, str]] = {}
        self.certificates: dict[tuple[str, int], Certificate] = {}
        self.descriptions: dict[tuple[str, int], str] = {}

    def register(self, pipeline: str, bundle: Path, *, as_of: str, digest: str, run_id: str) -> ModelVersion:
        """Register a bundle, or give the version that already holds this very digest."""
        versions = self._versions.setdefault(pipeline, [])
        for known in versions:
            if known.digest == digest:
                return known
        number = len(versions) + 1
        shutil.copytree(bundle, self._folder / pipeline / str(number))
        versions.append(ModelVersion(pipeline=pipeline, version=number, digest=digest, as_of=as_of, run_id=run_id))
        return versions[-1]

    def version(self, pipeline: str, version: int) -> ModelVersion:
        """Give one version; raises VersionNotFound."""
        for known in self._versions.get(pipeline, []):
            if known.version == version:
                return known
        raise VersionNotFound.because(pipeline, got=version, expected="a registered version", hint="register it first.")

    def versions(self, pipeline: str, as_of: str) -> list[ModelVersion]:
        """Give the versions of an as-of partition, the newest first."""
        return [known for known in reversed(self._versions.get(pipeline, [])) if known.as_of == as_of]

    def newest(self, pipeline: str, as_of: str | None = None) -> ModelVersion | None:
        """Give the newest version of an as-of partition, or of the newest as-of."""
        wanted = [known for known in self._versions.get(pipeline, []) if as_of in (None, known.as_of)]
        return max(wanted, key=lambda known: (known.as_of, known.version), default=None)

    def bundle(self, version: ModelVersion) -> Path:
        """Give the folder with the version's bundle."""
        return self._folder / version.pipeline / str(self.version(version.pipeline, version.version).version)

    def note(self, version: ModelVersion, evaluation: Evaluation) -> None:
        """Keep the evaluation under `notes`."""
        self.notes[version.pipeline, version.version] = evaluation

    def environment(self, version: ModelVersion) -> Mapping[str, str]:
        """Give what a test put under `environments`."""
        return self.environments.get((version.pipeline, version.version), {})

    def certify(self, version: ModelVersion, certificate: Certificate) -> None:
        """Keep the certificate under `certificates`."""
        self.certificates[version.pipeline, version.version] = certificate

    def certificate(self, version: ModelVersion) -> Certificate | None:
        """Give the newest certificate of a version, if there is one."""
        return self.certificates.get((version.pipeline, version.version))

    def describe(self, version: ModelVersion, text: str) -> None:
        """Keep the text under `descriptions`."""
        self.descriptions[version.pipeline, version.version] = text

    def amend(self, version: ModelVersion, old: str, new: str) -> None:
        """Replace a text in what `descriptions` holds of the version with this digest."""
        place = version.pipeline, version.version
        if place in self.descriptions and self.version(*place).digest == version.digest:
            self.descriptions[place] = self.descriptions[place].replace(old, new)

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias at a version."""
        known = self.version(version.pipeline, version.version)
        self._aliases.setdefault(version.pipeline, {})[alias] = known.version

    def drop_alias(self, version: ModelVersion, alias: str) -> None:
        """Take an alias off a version; does nothing if it points elsewhere."""
        if self.aliases(version.pipeline).get(alias) == version.version:
            del self._aliases[version.pipeline][alias]

    def aliases(self, pipeline: str) -> Mapping[str, int]:
        """Give alias -> version."""
        return dict(self._aliases.get(pipeline, {}))
