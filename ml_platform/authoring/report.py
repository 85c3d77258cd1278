"""What an author is told of a new pipeline: what was chosen, what was left out and why, what to do next."""

from collections.abc import Iterator
from pathlib import Path

from ml_platform.authoring.draft import Draft


def report(draft: Draft, folder: Path) -> Iterator[str]:
    """Give the lines."""
    span, sample = draft.span, draft.sample
    rows = sum(sample.rows_by_day.values())
    yield f"{folder}: defs.yaml, schema.yaml"
    first, last = min(sample.rows_by_day), max(sample.rows_by_day)
    yield f"  rows      {rows:,} from {first} to {last}, about {span.usual:,} a {span.every}"
    if sample.unreadable_share:
        yield f"  bad rows  {sample.unreadable_share:.2%} of the sample: kept aside, each with its reason"
    yield f"  target    {draft.label} ({draft.task})"
    repeated = f" ({draft.key.repeated} sampled rows repeat an earlier one's)" if draft.key.repeated else ""
    yield f"  key       {', '.join(draft.key.columns)}{repeated}"
    yield f"  features  {', '.join([*draft.features.kept, *draft.derived])}"
    for each in draft.left_out:
        yield f"  left out  {each.column}: {each.reason}"
    for each in draft.features.doubtful:
        yield f"  look at   {each.column}: {each.reason}"
    if draft.assumed:
        yield f"  assumed   the target is known {draft.assumed} after its time; if not, set label.known_after"
    yield "next"
    yield from (f"  {line}" for line in commands(draft))


def commands(draft: Draft) -> Iterator[str]:
    """Give the commands that load the data and train the first model."""
    dagster = ".venv/bin/dagster job execute -m ml_platform.definitions"
    span = draft.span
    edges = f'"dagster/asset_partition_range_start": "{span.start}", "dagster/asset_partition_range_end": "{span.last}"'
    yield "export DAGSTER_HOME=$PWD/.ml_platform/dagster && mkdir -p $DAGSTER_HOME && cp dagster.yaml $DAGSTER_HOME"
    yield f"{dagster} -j {draft.name}_data --tags '{{{edges}}}'"
    yield f'{dagster} -j {draft.name}_retrain --tags \'{{"dagster/partition": "{span.as_of}"}}\''
