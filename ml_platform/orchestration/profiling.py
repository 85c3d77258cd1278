"""Drift reports of as-of partitions: profiles of feature partitions, kept in the lake and merged over the window."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ml_platform.contracts.records import Decision, DriftReport
from ml_platform.data.lake.tables import PARTITION, Lake
from ml_platform.ledger.folds import Champion, champion
from ml_platform.monitoring.drift import report
from ml_platform.monitoring.profiles import Profile, merge
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import REFERENCE, open_bundle


def reports(
    pipeline: Pipeline, lake: Lake, decisions: Sequence[Decision], bundles: Path, keys: Sequence[str]
) -> list[DriftReport]:
    """Compare the window before each as-of partition with the present champion's training rows.

    Parameters
    ----------
    decisions : sequence of Decision
        The pipeline's ledger.
    bundles : Path
        Where deployed bundles lie.
    keys : sequence of str
        As-of partitions, oldest first.
    """
    present = champion(decisions)
    reference = None if present is None else _reference(bundles / pipeline.name / present.digest, present)
    windows = {key: pipeline.calendar.keys_before(key, pipeline.spec.monitoring.window) for key in keys}
    wanted = sorted({day for window in windows.values() for day in window})
    known = {} if reference is None else profiles(pipeline, lake, reference, wanted)
    return [_report(pipeline, key, window, present, reference, known) for key, window in windows.items()]


def profiles(pipeline: Pipeline, lake: Lake, reference: Profile, keys: Sequence[str]) -> dict[str, Profile]:
    """Give the profile of each feature partition that has rows, computing those that are not in the lake yet.

    A stored profile counts while its reference and the partition's files are the same.
    """
    table, source = pipeline.table("profiles"), pipeline.table("features")
    stamps = {key: stamp for key, stamp in lake.stamps(source).items() if key in set(keys)}
    stored = (
        lake.read(table, list(keys))
        if lake.version(table) >= 0
        else pl.DataFrame(schema=dict.fromkeys(_COLUMNS, pl.String))
    )
    known = {
        row["partition"]: Profile.from_json(row["profile"])
        for row in stored.iter_rows(named=True)
        if row["reference"] == reference.reference and row["stamp"] == stamps.get(row["partition"])
    }
    missing = [key for key in stamps if key not in known]
    if missing:
        rows = lake.read(source, missing).partition_by(PARTITION, as_dict=True)
        made = {str(key): reference.profile(frame) for (key,), frame in rows.items()}
        new = [(key, reference.reference, stamps[key], profile.to_json()) for key, profile in made.items()]
        lake.write(table, pl.DataFrame(new, schema=dict.fromkeys(_COLUMNS, pl.String), orient="row"), missing)
        known |= made
    return known


_COLUMNS = ("partition", "reference", "stamp", "profile")


def _reference(folder: Path, present: Champion) -> Profile:
    return Profile.from_json(open_bundle(folder, present.digest).read_bytes(REFERENCE))


def _report(
    pipeline: Pipeline,
    key: str,
    window: list[str],
    present: Champion | None,
    reference: Profile | None,
    known: dict[str, Profile],
) -> DriftReport:
    found = [known[day] for day in window if day in known]
    missing = [day for day in window if day not in known]
    return report(
        pipeline=pipeline.name,
        as_of=key,
        window=pipeline.calendar.window(window or [key]),
        champion=present.version if present else None,
        champion_as_of=present.as_of if present else None,
        reference=reference,
        current=None if reference is None else merge([reference.profile(_no_rows(reference)), *found]),
        missing=missing,
        monitoring=pipeline.spec.monitoring,
    )


def _no_rows(reference: Profile) -> pl.DataFrame:
    kinds = {"numeric": pl.Float64, "category": pl.String}
    return pl.DataFrame(schema={name: kinds[column.kind] for name, column in reference.columns.items()})
