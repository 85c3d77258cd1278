"""A backfill of 365 daily partitions from raw to features in one Dagster run, beside the same work in a bare script.

Run with `python -m benchmarks.backfill`. Both sides load, validate, join, make features and write Delta tables; the
bare script knows no partitions, events, checks or versions. What is between them is the price of the platform.
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
from ml_platform.data.sources import read_as
from ml_platform.defs.flight_delays import source
from ml_platform.demo.platform import Platform
from ml_platform.deployment.services import dagster_env, prepare_dagster_home

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pa

DAYS = int(os.environ.get("DAYS", "365"))
FIRST = date(2013, 1, 1)


def main() -> None:
    """Measure both, the bare script first, and print the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        bare = _bare(Path(folder) / "bare")
    with tempfile.TemporaryDirectory() as folder:
        platform = _platform(Path(folder))
    print(f"bare script       {bare:6.1f} s  {DAYS / bare:6.1f} partitions/s")
    print(f"one Dagster run   {platform:6.1f} s  {DAYS / platform:6.1f} partitions/s")
    print(f"ratio             {platform / bare:6.1f}")


def _bare(folder: Path) -> float:
    import polars as pl
    from deltalake import write_deltalake

    from ml_platform.defs.flight_delays import features, schema

    began = time.perf_counter()
    forget()
    window = _calendar().window(_keys())
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


def _platform(root: Path) -> float:
    os.environ |= {**dagster_env(Home(root)), "DAGSTER_HOME": str(root / "dagster")}
    prepare_dagster_home(Home(root), Path(__file__).parents[1])
    platform = Platform("flight_delays")
    began = time.perf_counter()
    forget()
    keys = _keys()
    if not platform.run("data", (keys[0], keys[-1])):
        raise RuntimeError("the data job failed")
    return time.perf_counter() - began


def forget() -> None:
    """Make the source read its files again."""
    for loaded in (source._flights, source._weather):  # the benchmark measures the reading too
        loaded.cache_clear()


def _keys() -> list[str]:
    return [(FIRST + timedelta(days=day)).isoformat() for day in range(DAYS)]


def _calendar() -> Calendar:
    return Calendar(Partitions(start=FIRST, end=date(2014, 1, 1), timezone=source.NEW_YORK))


if __name__ == "__main__":
    main()
