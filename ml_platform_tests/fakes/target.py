"""A target that serves nothing and remembers what it was given."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_platform.contracts.errors import ServerUnreachable
from ml_platform.contracts.records import ModelVersion

Row = Mapping[str, Any]


def _always_half(_row: Row) -> float:
    return 0.5


class RecordingTarget:
    """`contracts.ports.Target` in memory.

    Parameters
    ----------
    score_row : callable
        The score of one row, whatever the version.
    """

    def __init__(self, score_row: Callable[[Row], float] = _always_half) -> None:
        self._score_row = score_row
        self.deployed: list[ModelVersion] = []
        self.scored: list[tuple[str, int, int]] = []
        self._bundles: dict[tuple[str, str], Path] = {}

    def deployed_bundle(self, pipeline: str, digest: str) -> Path | None:
        """Return the folder that a digest was deployed from."""
        return self._bundles.get((pipeline, digest))

    def deploy(self, version: ModelVersion, bundle: Path) -> str:
        """Remember the version; gives the bundle's own folder."""
        if version not in self.deployed:
            self.deployed.append(version)
        self._bundles[version.pipeline, version.digest] = bundle
        return str(bundle)

    def score(self, pipeline: str, rows: Sequence[Row], version: int) -> list[float]:
        """Score the rows and remember (pipeline, version, number of rows)."""
        if (pipeline, version) not in {(known.pipeline, known.version) for known in self.deployed}:
            raise ServerUnreachable.because(
                pipeline, got="no such deployed version", expected=version, hint="deploy it first."
            )
        self.scored.append((pipeline, version, len(rows)))
        return [self._score_row(row) for row in rows]
