"""Small folders of files for a new pipeline: twenty-four days of parcels, some 96 a day, written as CSV or Parquet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ml_platform.authoring.wanted import Wanted, wanted

DAYS, A_DAY = 24, 96
START = datetime(2024, 3, 1, tzinfo=UTC)


def parcels(days: int = DAYS) -> pl.DataFrame:
    """Give made-up parcels; the same each time."""
    rng = np.random.default_rng(11)
    count = days * A_DAY
    weight = rng.gamma(2.0, 2.0, count).round(2)
    depot = rng.choice(["east", "west"], count)
    sent_at = [START + timedelta(minutes=15 * row) for row in range(count)]
    late = rng.random(count) < 1 / (1 + np.exp(2.5 - 0.4 * weight))
    return pl.DataFrame(
        {
            "parcel_id": [f"p{row:05d}" for row in range(count)],
            "sent_at": [f"{at:%Y-%m-%d %H:%M}" for at in sent_at],
            "depot": depot,
            "weight_kg": weight,
            "hours": (20 + 3 * weight + 8 * late + rng.normal(0, 6, count)).round(1),
            "is_late": late.astype(int),
        }
    )


def write(folder: Path, name: str, rows: pl.DataFrame) -> None:
    """Write a file by how its name ends."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    rows.write_parquet(path) if path.suffix == ".parquet" else rows.write_csv(path)


def said(data: str = "data/*.csv", **more: Any) -> Wanted:
    """Give what the author of the parcels says."""
    return wanted(**{"data": data, "time": "sent_at", "target": "is_late", "known_after": "0h"} | more)
