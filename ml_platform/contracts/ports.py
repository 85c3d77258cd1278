"""The ports: what the upper rooms ask of a store, each with the real adapter and an in-memory fake beside the tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ml_platform.contracts.evaluations import Evaluation
from ml_platform.contracts.records import Certificate, Decision, DecisionKind, ModelVersion

Predictions = list[Any]  # for each row a number, or a list of one for each class


class Ledger(Protocol):
    """The append-only record of decisions, one chain for each pipeline."""

    def read(self, pipeline: str, after: int = 0) -> list[Decision]:
        """Give the decisions of a pipeline with `seq > after`, oldest first."""
        ...

    def append(
        self,
        pipeline: str,
        kind: DecisionKind,
        *,
        expected_seq: int,
        actor: str,
        because: str,
        version: int | None = None,
        payload: Mapping[str, Any] | None = None,
    ) -> Decision:
        """Append one decision as number `expected_seq`.

        Raises
        ------
        LedgerConflict
            If the chain has moved on; the caller reads again and decides again.
        """
        ...

    def pipelines(self) -> list[str]:
        """Name every pipeline that has decisions, sorted."""
        ...


class ModelStore(Protocol):
    """Registered versions and their aliases.

    What is done to a version is done to the registered one of its digest, if its number is another one there; if there
    is none, VersionNotFound is raised.
    """

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
        """Register a bundle, or return the version that already holds this very digest.

        `taken` has the digest of each number that is in use elsewhere: a new version gets a number above all of them,
        or the one that names its own digest there.
        """
        ...

    def listed(self, pipeline: str) -> list[ModelVersion]:
        """Return every version of a pipeline, by its number and tags there: other people's versions are among them."""
        ...

    def holds(self, version: ModelVersion) -> bool:
        """Check whether a bundle of the version's digest is registered, under whatever number and tags."""
        ...

    def version(self, pipeline: str, version: int) -> ModelVersion:
        """Give one version; raises VersionNotFound."""
        ...

    def versions(self, pipeline: str, as_of: str) -> list[ModelVersion]:
        """Give the versions of an as-of partition, the newest first."""
        ...

    def newest(self, pipeline: str, as_of: str | None = None) -> ModelVersion | None:
        """Give the newest version of an as-of partition, or of the newest as-of."""
        ...

    def bundle(self, version: ModelVersion) -> Path:
        """Return a local folder with the version's bundle, which is found by its digest.

        Raises
        ------
        VersionNotFound
            If no such bundle is registered.
        """
        ...

    def note(self, version: ModelVersion, evaluation: Evaluation) -> None:
        """Show the evaluation beside the version, for people; the ledger stays the authority."""
        ...

    def environment(self, version: ModelVersion) -> Mapping[str, str]:
        """Give what was noted of machine and libraries when the version was fitted; empty if nothing was."""
        ...

    def certify(self, version: ModelVersion, certificate: Certificate) -> None:
        """Keep with the version what came of fitting it again; the newest certificate counts."""
        ...

    def certificate(self, version: ModelVersion) -> Certificate | None:
        """Give the newest certificate of a version, if there is one."""
        ...

    def amend(self, version: ModelVersion, old: str, new: str) -> None:
        """Replace a text in the description of a version; does nothing where either is gone."""
        ...

    def describe(self, version: ModelVersion, text: str) -> None:
        """Show a text in Markdown beside the version; what is too long for the registry is left out at its end."""
        ...

    def set_alias(self, version: ModelVersion, alias: str) -> None:
        """Point an alias (`challenger`, `champion`) at a version."""
        ...

    def drop_alias(self, version: ModelVersion, alias: str) -> None:
        """Take an alias off a version; does nothing if it points elsewhere."""
        ...

    def remove_alias(self, pipeline: str, alias: str) -> None:
        """Remove an alias, whatever it points at; does nothing if there is none."""
        ...

    def aliases(self, pipeline: str) -> Mapping[str, int]:
        """Return the registry's number for each alias."""
        ...


class Target(Protocol):
    """Where versions are served."""

    def deployed_bundle(self, pipeline: str, digest: str) -> Path | None:
        """Return the folder of a deployed bundle; None if it is not deployed, or damaged."""
        ...

    def deploy(self, version: ModelVersion, bundle: Path) -> str:
        """Make the bundle available to servers; gives its place. Idempotent."""
        ...

    def score(self, pipeline: str, rows: Sequence[Mapping[str, Any]], version: int) -> Predictions:
        """Score raw rows over HTTP with exactly this version; of several classes gives each one's probability.

        Raises
        ------
        ServerUnreachable
            If no server answers.
        """
        ...
