"""Feature rows of some partitions: reading no more of the past than windows need, and publishing it for the server."""

from collections.abc import Sequence
from datetime import timedelta

import polars as pl

from ml_platform.data.lake.tables import PARTITION, Lake
from ml_platform.features.online import OnlineStore
from ml_platform.features.plan import PLAN
from ml_platform.features.window_plan import HISTORY
from ml_platform.orchestration.lookups import read_lookups
from ml_platform.orchestration.partitions import whole_days
from ml_platform.orchestration.pure_features import require_pure
from ml_platform.orchestration.resolution import Pipeline


def make_features(pipeline: Pipeline, lake: Lake, keys: Sequence[str]) -> pl.DataFrame:
    """Make the features of a contiguous run of partitions, with `partition` and the digest of the plan.

    Raises
    ------
    SpecError
        If the author's function fails, or gives values that depend on more than their row.
    """
    plan = pipeline.plan
    wanted, past = keys, plan.history
    if past is not None:
        wanted = [*pipeline.calendar.keys_before(keys[0], whole_days(past.reach)), *keys]
    label = pipeline.spec.label
    columns = [*plan.raw_columns, *(label.columns if label.corrected else ()), *(past.columns if past else ())]
    rows = lake.read(pipeline.table("validated"), wanted, columns=list(dict.fromkeys(columns)))
    own = first_known(pipeline, rows if wanted == keys else rows.filter(pl.col(PARTITION).is_in(list(keys))))
    joined = plan.join(own, read_lookups(pipeline, lake, keys) | ({HISTORY: rows} if past else {}))
    made = plan.compute(joined)
    require_pure(plan, joined)
    return made.with_columns(own[PARTITION], pl.lit(plan.digest).alias(PLAN))


def read_history(
    pipeline: Pipeline, lake: Lake, keys: Sequence[str], span: timedelta, version: int | None = None
) -> pl.DataFrame:
    """Read what windows need of the past: these partitions and those that touch a span before them."""
    past = pipeline.plan.history
    assert past is not None  # noqa: S101 - asked only of a pipeline with windows
    wanted = [*pipeline.calendar.keys_before(keys[0], span), *keys]
    return lake.read(pipeline.table("validated"), wanted, columns=past.columns, version=version).drop(PARTITION)


def first_known(pipeline: Pipeline, rows: pl.DataFrame) -> pl.DataFrame:
    """Give one row for each key where labels are corrected: the one that was known first."""
    label = pipeline.spec.label
    if not label.corrected or label.known_at is None:
        return rows
    by_age = rows.sort(label.known_at, *rows.columns, nulls_last=False)
    return by_age.unique(pipeline.spec.key, keep="first", maintain_order=True)


def publish_history(pipeline: Pipeline, lake: Lake, online: OnlineStore, keys: Sequence[str]) -> None:
    """Publish the past before the end of the newest partition, if one of `keys` belongs to it.

    As far back as `serving.history` says, and as windows reach. It never moves back: a backfill of old partitions
    changes nothing, or what lies in it. Again if another run wrote meanwhile: the last word is the newest.
    """
    if pipeline.plan.history is None:
        return
    span = whole_days(max(pipeline.plan.history.reach, pipeline.spec.serving.history))
    table, published = pipeline.table("validated"), None
    while published != (version := lake.version(table)):
        newest = max(lake.stamps(table), default=max(keys))
        if not {newest, *pipeline.calendar.keys_before(newest, span)}.isdisjoint(keys):
            online.publish(pipeline.name, HISTORY, read_history(pipeline, lake, [newest], span, version))
        published = version
