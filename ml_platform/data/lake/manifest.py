"""The manifest of a training set: the tables, versions and partitions it was made from, each with the hash it had."""

from typing import Any

from ml_platform.contracts.records import Content, TableContent, TrainingManifest
from ml_platform.data.lake.recorded import RecordedLake, recorded
from ml_platform.data.lake.tables import Lake
from ml_platform.data.quality.verdicts import VERDICTS

MANIFEST, DIGEST = "manifest", "manifest_digest"


def training_manifest(lake: Lake, pipeline: str, as_of: str) -> TrainingManifest:
    """Give the manifest of what was read of a lake that remembers.

    Parameters
    ----------
    lake : Lake
        What the training set was read through; one that does not remember gives an empty manifest.
    as_of : str
        The partition up to which things were known.
    """
    remembering = lake if isinstance(lake, RecordedLake) else recorded(lake, {})
    judged = f"{pipeline}/{VERDICTS}"  # says whether rows may be used, is none of them
    return TrainingManifest(
        pipeline=pipeline,
        as_of=as_of,
        tables=tuple(_content(lake, **each) for each in remembering.inputs() if each["table"] != judged),
        spec_digest=str(remembering.said.get("spec_digest", "")),
        code_version=str(remembering.said.get("code_version", "")),
    )


def manifest_lineage(manifest: TrainingManifest) -> dict[str, Any]:
    """Give what the commit of the training set keeps of it."""
    return {MANIFEST: manifest.model_dump(mode="json"), DIGEST: manifest.digest}


def manifest_digest(lake: Lake, table: str, as_of: str) -> str | None:
    """Give the digest that the training set of an as-of partition was written with; None if it has none."""
    written = lake.written(table).get(as_of)
    return written.lineage.get(DIGEST) if written else None


def _content(lake: Lake, table: str, version: int, partitions: list[str] | None) -> TableContent:
    written = lake.written(table, version)
    keys = sorted(written) if partitions is None else [key for key in partitions if key in written]
    contents = {key: Content(hash=written[key].hash, rows=written[key].rows) for key in keys}
    return TableContent(table=table, version=version, partitions=contents)
