"""The model registry in memory; bundles are copied into a given folder, as a real store would keep them."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from ml_platform.contracts.errors import VersionNotFound
from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import Certificate, ModelVersion
from ml_platform.registry.registration import is_free


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
        self._contents: dict[tuple[str, int], str] = {}
        self._counts: dict[str, int] = {}
        self._aliases: dict[str, dict[str, int]] = {}
        self.notes: dict[tuple[str, int], Evaluation] = {}
        self.environments: dict[tuple[str, int], Mapping[str, str]] = {}
        self.certificates: dict[tuple[str, int], Certificate] = {}
        self.descriptions: dict[tuple[str, int], str] = {}

    def register(
        self,
        pipeline: str,
        bundle: Path,
        *,
        as_of: str,
        digest: str,
        run_id: str,
        taken: Mapping[int, str] | None = None,
    ) -> ModelVersion:
        """Register a bundle, or return the version that already holds this very digest; numbers as in `taken`."""
        used = dict(taken or {})
        alike = [each for each in self._versions.get(pipeline, []) if self._contents[pipeline, each.version] == digest]
        usable = [each for each in alike if is_free(each.version, digest, used)]
        if usable:
            chosen = min(usable, key=lambda each: (each.version not in used, each.version))
            self.edit(pipeline, chosen.version, digest=digest, as_of=as_of)
            return self.version(pipeline, chosen.version)
        while not is_free(number := self.next_number(pipeline), digest, used):
            pass
        self.add(ModelVersion(pipeline=pipeline, version=number, digest=digest, as_of=as_of, run_id=run_id), bundle)
        return self.version(pipeline, number)

    def next_number(self, pipeline: str) -> int:
        """Return a number that no version had since the last `delete_all`."""
        self._counts[pipeline] = self._counts.get(pipeline, 0) + 1
        return self._counts[pipeline]

    def add(self, version: ModelVersion, bundle: Path | None, content: str | None = None) -> None:
        """Put a version there whose bundle has the digest `content`, that of its tag if left out."""
        self._counts[version.pipeline] = max(self._counts.get(version.pipeline, 0), version.version)
        self._versions.setdefault(version.pipeline, []).append(version)
        self._contents[version.pipeline, version.version] = version.digest if content is None else content
        if bundle is not None:
            place = self._folder / version.pipeline / str(version.version)
            shutil.copytree(bundle, place, dirs_exist_ok=True)

    def delete(self, pipeline: str, version: int) -> None:
        """Delete a version; its number is not used again."""
        kept = [each for each in self._versions.get(pipeline, []) if each.version != version]
        self._versions[pipeline] = kept
        self._aliases[pipeline] = {
            alias: number for alias, number in self._aliases.get(pipeline, {}).items() if number != version
        }
        shutil.rmtree(self._folder / pipeline / str(version), ignore_errors=True)

    def delete_all(self, pipeline: str) -> None:
        """Delete every version with the model itself; numbers start again."""
        for known in list(self._versions.get(pipeline, [])):
            self.delete(pipeline, known.version)
        self._counts.pop(pipeline, None)

    def point(self, pipeline: str, alias: str, version: int) -> None:
        """Point an alias at a number."""
        self._aliases.setdefault(pipeline, {})[alias] = version

    def edit(self, pipeline: str, version: int, **tags: str) -> None:
        """Edit the tags `digest` and `as_of` of a version; its content stays."""
        self._versions[pipeline] = [
            each.model_copy(update=tags) if each.version == version else each for each in self._versions[pipeline]
        ]

    def version(self, pipeline: str, version: int) -> ModelVersion:
        """Give one version; raises VersionNotFound."""
        for known in self._versions.get(pipeline, []):
            if known.version == version:
                return known
        raise VersionNotFound.because(pipeline, got=version, expected="a registered version", hint="register it first.")

    def versions(self, pipeline: str, as_of: str) -> list[ModelVersion]:
        """Give the versions of an as-of partition, the newest first."""
        return [known for known in reversed(self._versions.get(pipeline, [])) if known.as_of == as_of]

    def listed(self, pipeline: str) -> list[ModelVersion]:
        """Return every version, by its number and tags."""
        return list(self._versions.get(pipeline, []))

    def holds(self, version: ModelVersion) -> bool:
        """Check whether some version has this digest as its content."""
        return self._find(version) is not None

    def _find(self, version: ModelVersion) -> int | None:
        numbers = [
            each.version
            for each in self._versions.get(version.pipeline, [])
            if self._contents[version.pipeline, each.version] == version.digest
        ]
        return version.version if version.version in numbers else min(numbers, default=None)

    def _require(self, version: ModelVersion) -> int:
        number = self._find(version)
        if number is None:
            raise VersionNotFound.because(
                version.pipeline, got=version.version, expected="a registered version", hint="register it first."
            )
        return number

    def newest(self, pipeline: str, as_of: str | None = None) -> ModelVersion | None:
        """Give the newest version of an as-of partition, or of the newest as-of."""
        wanted = [known for known in self._versions.get(pipeline, []) if as_of in (None, known.as_of)]
        return max(wanted, key=lambda known: (known.as_of, known.version), default=None)

    def bundle(self, version: ModelVersion) -> Path:
        """Give the folder with the version's bundle."""
        return self._folder / version.pipeline / str(self._require(version))

    def note(self, version: ModelVersion, evaluation: Evaluation) -> None:
        """Keep the evaluation under `notes`."""
        self._require(version)
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
        self._require(version)
        self.descriptions[version.pipeline, version.version] = text

    def amend(self, version: ModelVersion, old: str, new: str) -> None:
        """Replace a text in what `descriptions` holds of the version with this digest."""
        place = version.pipeline, self._find(version) or 0
        if place in self.descriptions:
            self.descriptions[place] = self.descriptions[place].replace(old, new)

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias at a version."""
        self._aliases.setdefault(version.pipeline, {})[alias] = self._require(version)

    def drop_alias(self, version: ModelVersion, alias: str) -> None:
        """Take an alias off a version; does nothing if it points elsewhere."""
        if self.aliases(version.pipeline).get(alias, 0) == self._find(version):
            del self._aliases[version.pipeline][alias]

    def remove_alias(self, pipeline: str, alias: str) -> None:
        """Remove an alias, whatever it points at."""
        self._aliases.get(pipeline, {}).pop(alias, None)

    def aliases(self, pipeline: str) -> Mapping[str, int]:
        """Return the number of each alias."""
        return dict(self._aliases.get(pipeline, {}))
