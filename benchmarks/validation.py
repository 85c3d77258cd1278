"""Validation of 5 million rows x 20 columns with 20 checks, beside one pass of polars and Great Expectations.

Run with `python -m benchmarks.validation`. Each side runs in a process of its own on the same rows, which lie in
memory before the clock starts (Great Expectations then still makes its frame of them, as in the platform). One pass of
polars counts, for each of the 20 checks, the rows that break it. Ours also keeps good rows apart from bad ones, with
the reason of each, and judges every partition.
"""

import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

ROWS = int(os.environ.get("ROWS", "5000000"))
DAYS = 25
NUMBERS = 12
LINES = ["u1", "u2", "u3", "u4"]
START = datetime(2020, 1, 1, tzinfo=UTC)
SIDES = {"polars": "one pass of polars", "ours": "ours", "pandera": "pandera on pandas", "gx": "Great Expectations"}
REPEATS = {"polars": 3, "ours": 3, "pandera": 1, "gx": 1}  # the best counts


def main() -> None:
    """Measure each side in a process of its own and print the ratios."""
    if len(sys.argv) > 1:
        print(json.dumps(_MEASURE[sys.argv[1]]()))
        return
    found = {side: _in_its_own_process(side) for side in SIDES}
    print(f"{ROWS:,} rows x 20 columns, 20 checks, {DAYS} partitions")
    for side, name in SIDES.items():
        ratio = found[side]["seconds"] / found["polars"]["seconds"]
        print(f"  {name:<20}{found[side]['seconds']:8.2f} s  x {ratio:7.2f}  {found[side]['peak_mb']:6.0f} MB")


def _in_its_own_process(side: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.validation", side],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _rows(count: int) -> pl.DataFrame:
    """Make rows of 20 columns beside the partition: key, time, 12 numbers, 4 texts, a bool and a whole number."""
    rng = np.random.default_rng(0)
    place = np.arange(count)
    day = place * DAYS // count
    columns: dict[str, Any] = {
        "id": pl.Series(place).cast(pl.String),
        "at": pl.Series(day * 86_400_000_000 + START.timestamp() * 1_000_000).cast(pl.Int64),
        "is_late": rng.random(count) < 0.2,
        "passengers": rng.integers(0, 100, count),
    }
    columns |= {f"x{each}": rng.random(count) for each in range(NUMBERS)}
    columns |= {f"s{each}": pl.Series(LINES).gather(rng.integers(0, len(LINES), count)) for each in range(4)}
    frame = pl.DataFrame(columns).with_columns(pl.col("at").cast(pl.Datetime("us", "UTC")))
    keys = [f"{START + timedelta(days=each):%Y-%m-%d}" for each in range(DAYS)]
    bad = pl.int_range(pl.len()) % 10_000 == 7  # one row in ten thousand breaks a rule
    return frame.with_columns(
        pl.Series("partition", keys).gather(day), x0=pl.when(bad).then(-1.0).otherwise(pl.col("x0"))
    )


def _polars() -> dict[str, float]:
    return _timed("polars", lambda rows: rows.select(**_counted()))


def _counted() -> dict[str, pl.Expr]:
    """Give the 20 aggregates: of each check the number of rows that break it."""
    return {
        "key": pl.len() - pl.col("id").n_unique(),
        **{f"x{each} range": ((pl.col(f"x{each}") < 0) | (pl.col(f"x{each}") > 1)).sum() for each in range(NUMBERS)},
        **{f"s{each} known": (~pl.col(f"s{each}").is_in(LINES)).sum() for each in range(3)},
        "s3 matches": (~pl.col("s3").str.contains(r"^u\d$")).sum(),
        "id null": pl.col("id").null_count(),
        "at null": pl.col("at").null_count(),
        "passengers null": pl.col("passengers").null_count(),
    }


def _ours() -> dict[str, float]:
    from ml_platform.contracts.spec import Quality
    from ml_platform.data.quality.findings import Past
    from ml_platform.data.quality.partition_checks import check_partitions
    from ml_platform.data.quality.rows import QUARANTINE, quarantine_rows, validate

    schema, none = _schema(), pl.DataFrame(schema=dict.fromkeys(QUARANTINE, pl.String))
    keys = [f"{START + timedelta(days=each):%Y-%m-%d}" for each in range(DAYS)]
    ends = {key: START + timedelta(days=each + 1) for each, key in enumerate(keys)}

    def judge(rows: pl.DataFrame) -> None:
        judged = validate(rows, schema, ["id"])
        bad = quarantine_rows(judged, none)
        found = check_partitions(judged.kept, bad, Quality(), event_time="at", ends=ends, past=Past())
        if len(bad) != len(rows) // 10_000 or any(each.is_fatal for of in found.values() for each in of):
            raise RuntimeError("the rows that are bad were not those that were found")

    return _timed("ours", judge)


def _schema() -> Any:
    from ml_platform.data.quality.frozen_schema import FrozenColumn, FrozenSchema, to_pandera

    columns = {
        "id": FrozenColumn(type="string"),
        "at": FrozenColumn(type="timestamp"),
        "is_late": FrozenColumn(type="bool", nullable=True),
        "passengers": FrozenColumn(type="int64"),
        **{f"x{at}": FrozenColumn(type="float64", nullable=True, at_least=0, at_most=1) for at in range(NUMBERS)},
        **{f"s{at}": FrozenColumn(type="string", nullable=True, one_of=list(LINES)) for at in range(3)},
        "s3": FrozenColumn(type="string", nullable=True, pattern=r"u\d"),
    }
    return to_pandera(FrozenSchema(columns=columns))


def _pandera() -> dict[str, float]:
    import pandera.errors

    schema = _schema()
    frame = _rows(ROWS).drop("partition").to_pandas()
    frame = frame.astype({name: column.dtype.type for name, column in schema.columns.items()})

    def judge() -> None:
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors as errors:
            if len(errors.failure_cases) != ROWS // 10_000:
                raise
        if frame["id"].duplicated().any():
            raise RuntimeError("no key is there twice")

    return _result(_best("pandera", judge))


def _gx() -> dict[str, float]:
    from ml_platform.data.quality.expectations import Expectation, check_expectations

    def one(kind: str, column: str, **kwargs: Any) -> Expectation:
        return Expectation(f"{kind}_{column}", f"expect_column_values_to_{kind}", {"column": column} | kwargs, "error")

    suite = [
        one("be_unique", "id"),
        *(one("be_between", f"x{each}", min_value=0, max_value=1) for each in range(NUMBERS)),
        *(one("be_in_set", f"s{each}", value_set=LINES) for each in range(3)),
        one("match_regex", "s3", regex=r"^u\d$"),
        *(one("not_be_null", name) for name in ("id", "at", "passengers")),
    ]
    rows = _rows(ROWS).drop("partition")
    check_expectations(rows.head(10), suite)  # imports the library
    return _result(_best("gx", lambda: check_expectations(rows, suite)))


def _timed(side: str, judge: Any) -> dict[str, float]:
    judge(_rows(10_000 * DAYS))  # the first time is dearer
    rows = _rows(ROWS)
    return _result(_best(side, lambda: judge(rows)))


def _best(side: str, run: Any) -> float:
    seconds: list[float] = []
    for _ in range(REPEATS[side]):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _result(seconds: float) -> dict[str, float]:
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


_MEASURE = {"polars": _polars, "ours": _ours, "pandera": _pandera, "gx": _gx}

if __name__ == "__main__":
    main()
