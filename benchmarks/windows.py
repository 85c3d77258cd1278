"""Four windows over all flights of 2013: the stage `features` beside the same windows written by hand in polars.

Run with `python -m benchmarks.windows`. Both sides read `validated` from the same lake and give the same values,
known-at and boundaries included; the one by hand as an expert would write it: running totals over what comes and goes,
and a join as of the event time. Each runs in a process of its own, so that its memory is its own.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import polars as pl
import yaml

from ml_platform.contracts.spec import PipelineSpec
from ml_platform.data.lake.tables import Lake, local_lake
from ml_platform.defs import flight_delays
from ml_platform.defs.flight_delays import schema, source
from ml_platform.features.plan import FeaturePlan
from ml_platform.orchestration.feature_rows import make_features
from ml_platform.orchestration.resolution import Pipeline, resolve

ROUNDS = 5
WINDOWS = {  # name: entity, length
    "carrier_late_share_7d": ("carrier", timedelta(days=7)),
    "origin_late_share_6h": ("origin", timedelta(hours=6)),
    "dest_late_share_14d": ("dest", timedelta(days=14)),
    "plane_late_share_3d": ("tailnum", timedelta(days=3)),
}
AT, KNOWN, LABEL, KEY = "scheduled_departure", "landed_at", "is_late", "flight_id"
TABLE = "flight_delays/validated"


def main() -> None:
    """Measure both, in turns, and print the ratio of the best times."""
    with tempfile.TemporaryDirectory() as folder:
        rows = _run("prepare", folder)["rows"]
        found = [{side: _run(side, folder) for side in ("by hand", "platform")} for _ in range(2)]
    best = {side: min(each[side]["seconds"] for each in found) for side in found[0]}
    for side, seconds in best.items():
        print(f"{side:<10} {seconds:6.2f} s   peak memory {max(each[side]['megabytes'] for each in found):6.0f} MB")
    print(f"ratio      {best['platform'] / best['by hand']:6.2f}   on {rows:,} flights, equal values")


def prepare_lake(lake: Lake) -> int:
    """Write the good flights of 2013 to `validated`, partitioned by day; gives how many."""
    flights = pl.from_pandas(source._flights())
    flights = flights.filter(pl.col("distance_miles") > 50).cast({AT: pl.Datetime("us", "UTC")})
    day = pl.col(AT).dt.convert_time_zone(source.NEW_YORK).dt.date().cast(pl.String)
    flights = flights.with_columns(partition=day)
    lake.write(TABLE, flights.select(*schema.Flights.to_schema().columns, "partition"), _keys(_pipeline()))
    return len(flights)


def _run(verb: str, folder: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.windows", verb, folder]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _prepare(lake: Lake) -> dict[str, float]:
    rows = prepare_lake(lake)
    assert _by_hand(lake).equals(_platform(lake)), "the two sides differ"  # noqa: S101 - what is compared is equal
    return {"rows": rows}


def _measure(run: Callable[[Lake], pl.DataFrame], lake: Lake) -> dict[str, float]:
    seconds = min(_timed(run, lake) for _ in range(ROUNDS))
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def _timed(run: Callable[[Lake], pl.DataFrame], lake: Lake) -> float:
    began = time.perf_counter()
    run(lake)
    return time.perf_counter() - began


def _platform(lake: Lake) -> pl.DataFrame:
    pipeline = _pipeline()
    made = make_features(pipeline, lake, _keys(pipeline))
    return made.select(KEY, *WINDOWS).sort(KEY)


def _by_hand(lake: Lake) -> pl.DataFrame:
    """Give the windows as an expert would write them once, for this table and these columns."""
    rows = lake.read(TABLE, columns=[KEY, AT, KNOWN, LABEL, *(by for by, _ in WINDOWS.values())]).sort(AT)
    known = rows.filter(pl.col(LABEL).is_not_null() & pl.col(KNOWN).is_not_null())
    for name, (by, span) in WINDOWS.items():
        begins = pl.max_horizontal(KNOWN, pl.col(AT) + timedelta(microseconds=1))
        events = known.select(by, begins=begins, ends=pl.col(AT) + span, late=pl.col(LABEL).cast(pl.Int64))
        events = events.filter(pl.col("begins") < pl.col("ends"), pl.col(by).is_not_null())
        changes = pl.concat(
            [
                events.select(by, at="begins", rows=pl.lit(1), late="late"),
                events.select(by, at="ends", rows=pl.lit(-1), late=-pl.col("late")),
            ]
        ).sort("at")
        totals = changes.select(by, "at", pl.col("rows", "late").cum_sum().over(by))
        share = pl.when(pl.col("rows") > 0).then(pl.col("late") / pl.col("rows"))
        rows = (
            rows.join_asof(totals, left_on=AT, right_on="at", by=by, coalesce=False, check_sortedness=False)
            .with_columns(share.alias(name))
            .drop("at", "rows", "late", by + "_right", strict=False)
        )
    return rows.select(KEY, *WINDOWS).sort(KEY)


@cache
def _pipeline() -> Pipeline:
    """Give the example with these four windows and its inputs as features, no lookups and no Python."""
    path = Path(flight_delays.__path__[0]) / "defs.yaml"
    attributes = yaml.safe_load(path.read_text())["attributes"]
    pipeline = resolve(attributes, path, flight_delays.__name__)
    windows = [
        {"name": name, "by": [by], "how": "share", "of": LABEL, "over": f"{span.total_seconds() // 3600:.0f}h"}
        for name, (by, span) in WINDOWS.items()
    ]
    features = {"inputs": attributes["features"]["inputs"], "windows": windows, "columns": list(WINDOWS)}
    spec = PipelineSpec.model_validate({**attributes, "features": features})
    return replace(pipeline, spec=spec, plan=FeaturePlan.from_spec(spec, None))


def _keys(pipeline: Pipeline) -> list[str]:
    partitions = pipeline.spec.partitions
    return [(partitions.start + timedelta(days=day)).isoformat() for day in range(partitions.days)]


def _answer(verb: str, lake: Lake) -> dict[str, float]:
    if verb == "prepare":
        return _prepare(lake)
    return _measure({"by hand": _by_hand, "platform": _platform}[verb], lake)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_answer(sys.argv[1], local_lake(Path(sys.argv[2])))))
    else:
        main()
