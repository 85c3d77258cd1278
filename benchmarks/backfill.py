"""Backfills of 30, 90 and 365 daily partitions from raw to features, each in one Dagster run with its checks.

Run with `python -m benchmarks.backfill`. Beside the longest stands the same work in a bare script, which loads,
validates, joins, makes features and writes Delta tables, but knows no partitions, events, checks or versions: what is
between them is the price of the platform. Bounds: 3 partitions/s, and a partition of 365 costs at most 1.3 times one
of 30. A first run of one day, not counted, imports what there is to import.
"""

import os
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ml_platform.contracts.home import Home
from ml_platform.contracts.spec import Partitions
from ml_platform.data.calendar import Calendar
from ml_platform.data.sources.python import read_as
from ml_platform.defs.flight_delays import source
from ml_platform.demo.platform import Platform
from ml_platform.deployment.services import dagster_env, prepare_dagster_home

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

SIZES = [int(days) for days in os.environ.get("DAYS", "30 90 365").split()]
FIRST = date(2013, 1, 1)


def main() -> None:
    """Measure all, the bare script first, and print partitions per second, flatness and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare(Path(folder) / "bare")
    print(f"bare script     {SIZES[-1]:4} partitions  {bare:6.1f} s  {SIZES[-1] / bare:6.1f} partitions/s", flush=True)
    times: dict[int, float] = {}
    for days in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            times[days], events = _platform(Path(folder), days)
        speed = f"{times[days]:6.1f} s  {days / times[days]:6.1f} partitions/s"
        print(f"one Dagster run {days:4} partitions  {speed}  {events} events", flush=True)
    flatness = (times[SIZES[-1]] / SIZES[-1]) / (times[SIZES[0]] / SIZES[0])
    print(f"cost of a partition, {SIZES[-1]} over {SIZES[0]}: {flatness:.2f}")
    print(f"one Dagster run over the bare script: {times[SIZES[-1]] / bare:.1f}")


def _bare(folder: Path) -> float:
    import polars as pl
    from deltalake import write_deltalake

    from ml_platform.defs.flight_delays import features, schema

    began = time.perf_counter()
    forget()
    window = _calendar().window(_keys(SIZES[-1]))
    rules = schema.Flights.to_schema()
    raw = read_as(source.load_flights(window), rules)
    good = raw.drop(index=_bad_rows(raw, rules))
    flights, weather = pl.from_pandas(good), pl.from_pandas(source.load_weather(window)).sort("known_at")
    planes = pl.from_pandas(source.load_planes()).rename({"built_year": "planes_built_year", "seats": "planes_seats"})
    prefixed = weather.rename(
        {name: f"weather_{name}" for name in weather.columns if name not in ("origin", "known_at")}
    )
    joined = flights.sort("scheduled_departure").join_asof(
        prefixed.with_columns(pl.col("known_at").dt.cast_time_unit("us")).sort("known_at"),
        left_on="scheduled_departure", right_on="known_at", by="origin", tolerance="6h", check_sortedness=False,
    )  # fmt: skip
    made = features.build(joined.join(planes, on="tailnum", how="left"))
    for name, frame in {"raw": pl.from_pandas(raw), "validated": flights, "weather": weather, "features": made}.items():
        write_deltalake(str(folder / name), frame.to_arrow())
    return time.perf_counter() - began


def _bad_rows(raw: "pd.DataFrame", rules: "pa.DataFrameSchema") -> list[int]:
    import pandera.errors

    try:
        rules.validate(raw, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        return sorted({int(row) for row in errors.failure_cases["index"].dropna()})
    return []


def _platform(root: Path, days: int) -> tuple[float, int]:
    os.environ |= {**dagster_env(Home(root)), "DAGSTER_HOME": str(root / "dagster")}
    prepare_dagster_home(Home(root), Path(__file__).parents[1])
    platform = Platform("flight_delays")
    keys = _keys(days)
    _run(platform, keys[:1])
    forget()
    began = time.perf_counter()
    _run(platform, keys)
    took = time.perf_counter() - began
    newest = platform.instance.get_run_records(limit=1)[0].dagster_run.run_id
    return took, len(platform.instance.all_logs(newest))


def _run(platform: Platform, keys: list[str]) -> None:
    if not platform.run("data", (keys[0], keys[-1]) if len(keys) > 1 else (keys[0],)):
        raise RuntimeError("the data job failed")


def forget() -> None:
    """Make the source read its files again."""
    for loaded in (source._flights, source._weather):  # the benchmark measures the reading too
        loaded.cache_clear()


def _keys(days: int) -> list[str]:
    return [(FIRST + timedelta(days=day)).isoformat() for day in range(days)]


def _calendar() -> Calendar:
    return Calendar(Partitions(start=FIRST, end=date(2014, 1, 1), timezone=source.NEW_YORK))


if __name__ == "__main__":
    main()
