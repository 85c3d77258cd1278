"""Made-up training sets of each task: carriers b and d are late, whatever their names' order says, evenings worse."""

import numpy as np
import polars as pl

COLUMNS = ["carrier", "hour", "noise", "is_wet"]
SIZES = {"train": 1200, "validation": 400, "holdout": 400}
IS_TRAIN, IS_VALIDATION, IS_HOLDOUT = (pl.col("part") == part for part in SIZES)


def binary_rows(seed: int = 0) -> pl.DataFrame:
    """Make a training set of a binary label."""
    rng = np.random.default_rng(seed)
    count = sum(SIZES.values())
    carrier, hour = rng.choice(list("abcd"), count), rng.uniform(0, 24, count)
    chance = 0.1 + 0.5 * np.isin(carrier, ["b", "d"]) + 0.3 * (hour > 18)
    return pl.DataFrame(
        {
            "carrier": carrier,
            "hour": hour,
            "noise": rng.normal(size=count),
            "is_wet": rng.random(count) < 0.2,
            "label": rng.random(count) < chance,
            "part": np.repeat(list(SIZES), list(SIZES.values())),
            "day": "2013-01-01",
        }
    )


def number_rows(seed: int = 0) -> pl.DataFrame:
    """Make one of a number: minutes that grow through the day, more for two carriers."""
    rows = binary_rows(seed)
    drawn = pl.Series(np.random.default_rng(5).normal(size=len(rows)))
    return rows.with_columns(label=10 * pl.col("hour") + 100 * pl.col("carrier").is_in(["b", "d"]) + 20 * drawn)


def class_rows(seed: int = 0) -> pl.DataFrame:
    """Make one of three classes, with words as labels; `on time` is the rarest in the evening."""
    early = pl.when(pl.col("noise") > 0.3).then(pl.lit("early")).otherwise(pl.lit("on time"))
    return binary_rows(seed).with_columns(label=pl.when("label").then(pl.lit("late")).otherwise(early))


def rows_with_gaps(rows: pl.DataFrame) -> pl.DataFrame:
    """Take away some carriers and hours, where the noise is high or low; and the holdout has a carrier of its own."""
    is_new = IS_HOLDOUT & (pl.col("hour") < 3)
    carrier = pl.when(pl.col("noise") < -1).then(None).when(is_new).then(pl.lit("z")).otherwise("carrier")
    return rows.with_columns(hour=pl.when(pl.col("noise") > 1).then(None).otherwise("hour"), carrier=carrier)
