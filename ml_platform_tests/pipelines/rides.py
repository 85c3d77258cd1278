"""Made-up taxi rides as one table, some forty a day, and the pipeline that `new` drafts of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from ml_platform.authoring.draft import Draft
from ml_platform.authoring.wanted import wanted
from ml_platform.orchestration.new_pipeline import new_pipeline

START, DAYS, A_DAY = datetime(2024, 1, 1, tzinfo=UTC), 80, 40
ZONES = ["airport", "centre", "harbour", "north"]


def rides(seed: int = 7, days: int = DAYS) -> pl.DataFrame:
    """Make rides; a tip hangs on zone and payment, and a little on the distance."""
    rng = np.random.default_rng(seed)
    count = days * A_DAY
    zone, payment = rng.choice(ZONES, count), rng.choice(["card", "card", "cash"], count)
    distance = rng.lognormal(1.2, 0.6, count).round(2)
    fare = (3.5 + 2.1 * distance + rng.normal(0, 0.6, count).clip(-2, 2)).round(2)
    chance = 1 / (1 + np.exp(1.6 - 2.4 * (zone == "airport") - 1.2 * (payment == "card") + 0.15 * distance))
    share = np.where(rng.random(count) < chance, rng.uniform(0.25, 0.4, count), rng.uniform(0, 0.24, count))
    at = [START + timedelta(days=1) / A_DAY * place for place in range(count)]
    return pl.DataFrame(
        {
            "ride_id": [f"r{place:06d}" for place in range(count)],
            "picked_up_at": [f"{each:%Y-%m-%d %H:%M:%S}" for each in at],
            "zone": zone,
            "payment": payment,
            "passengers": rng.integers(1, 5, count),
            "distance_km": distance,
            "fare": fare,
            "tip": (fare * share).round(2),
        }
    )


def new_rides(folder: Path, rows: pl.DataFrame, name: str = "tips", **more: object) -> Draft:
    """Write rides into a folder, and draft their pipeline there."""
    (folder / "data").mkdir(exist_ok=True, parents=True)
    rows.write_csv(folder / "data" / "rides.csv")
    said = {"from": str(folder / "data" / "*.csv"), "time": "picked_up_at", "known_after": "1h", "every": "day"}
    target = {} if "target" in more else {"target_sql": "tip / fare >= 0.25"}
    made, _ = new_pipeline(name, wanted(**(said | target | more)), folder / "defs", force=True)
    return made
