"""Drift reports of as-of partitions: profiles of feature partitions, kept in the lake and merged over the window."""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import polars as pl

from ml_platform.contracts.records import Decision, DriftReport
from ml_platform.data.lake.tables import PARTITION, Lake
from ml_platform.ledger.folds import Champion, champion_before
from ml_platform.monitoring.drift import report
from ml_platform.monitoring.profiles import Profile, merge
from ml_platform.orchestration.resolution import Pipeline
from ml_platform.registry.bundle import REFERENCE, open_bundle


def reports(
    pipeline: Pipeline, lake: Lake, decisions: Sequence[Decision], bundles: Path, keys: Sequence[str]
) -> list[DriftReport]:
    """Compare the window before each as-of partition with the training rows of the champion of that time.

    Parameters
    ----------
    decisions : sequence of Decision
        The pipeline's ledger.
    bundles : Path
        Where deployed bundles lie.
    keys : sequence of str
        As-of partitions, oldest first.

    Returns
    -------
    list of DriftReport
        Oldest first; none for a partition before which no version was promoted.
    """
    champions = {key: champion_before(decisions, key) for key in keys}
    groups = groupby((key for key in keys if champions[key] is not None), key=champions.__getitem__)
    return [
        each
        for champion, group in groups
        if champion is not None
        for each in _against(pipeline, lake, champion, bundles / pipeline.name / champion.digest, list(group))
    ]


def _against(
    pipeline: Pipeline, lake: Lake, champion: Champion, bundle: Path, keys: Sequence[str]
) -> list[DriftReport]:
    reference = Profile.from_json(open_bundle(bundle, champion.digest).read_bytes(REFERENCE))
    windows = {key: pipeline.calendar.keys_before(key, pipeline.spec.monitoring.window) for key in keys}
    known = profiles(pipeline, lake, reference, sorted({day for window in windows.values() for day in window}))
    return [_report(pipeline, key, window, champion, reference, known) for key, window in windows.items()]


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


def _report(
    pipeline: Pipeline,
    key: str,
    window: list[str],
    champion: Champion,
    reference: Profile,
    known: dict[str, Profile],
) -> DriftReport:
    found = [known[day] for day in window if day in known]
    missing = [day for day in window if day not in known]
    return report(
        pipeline=pipeline.name,
        as_of=key,
        window=pipeline.calendar.window(window or [key]),
        champion=champion.version,
        champion_as_of=champion.as_of,
        reference=reference,
        current=merge([reference.profile(_no_rows(reference)), *found]),
        missing=missing,
        monitoring=pipeline.spec.monitoring,
    )


def _no_rows(reference: Profile) -> pl.DataFrame:
    kinds = {"numeric": pl.Float64, "category": pl.String}
    return pl.DataFrame(schema={name: kinds[column.kind] for name, column in reference.columns.items()})
