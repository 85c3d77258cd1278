"""A folder of monthly CSV files as somebody has it: taxi rides, with the faults that such folders have.

Line ends, spellings of times and of nothing differ between months, a column appears later, a number is not one here and
there, a few rows stand twice. The files are the same each time.
"""

import csv
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

FIRST, MONTHS, RIDES_A_DAY = datetime(2024, 1, 1), 5, 150
ZONES = ["airport", "centre", "harbour", "north", "south"]
PAYMENTS = ["card", "card", "card", "cash"]
COLUMNS = ["ride_id", "picked_up_at", "zone", "payment", "passengers", "distance_km", "fare", "tip", "note"]
NEW_COLUMN, APPEARS_IN = "app_version", 3  # month, from 1
CRLF_IN, OTHER_TIMES_IN, DECIMALS_IN = {2, 4}, {3}, {4}
NULLS = {1: "", 2: "NA", 3: "null", 4: "", 5: "N/A"}
UNREADABLE_EACH, TWICE_EACH = 400, 500
BAD_TIME, BAD_NUMBER = "yesterday", "twelve"


@dataclass(frozen=True)
class Written:
    """What stands in the files, counted while they were written."""

    rows: int
    unreadable: int
    twice: int


def write_rides(folder: Path, months: int = MONTHS, rides_a_day: int = RIDES_A_DAY) -> Written:
    """Write one file a month, with a header, into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)  # noqa: S311 - made-up rides
    rows = unreadable = twice = number = 0
    for month in range(1, months + 1):
        lines: list[dict[str, str]] = []
        for day in _days(month):
            for ride in _rides(chance, day, month, rides_a_day):
                number += 1
                ride["ride_id"] = f"r{number:06d}"
                if number % UNREADABLE_EACH == 0:
                    _spoil(ride, number)
                    unreadable += 1
                lines.append(ride)
                if number % TWICE_EACH == 1:
                    lines.append(dict(ride))
                    twice += 1
        rows += len(lines)
        _write(folder / f"rides_{FIRST.year}_{month:02d}.csv", month, lines)
    return Written(rows, unreadable, twice)


def _days(month: int) -> Iterator[datetime]:
    day = FIRST.replace(month=month)
    while day.month == month:
        yield day
        day += timedelta(days=1)


def _rides(chance: random.Random, day: datetime, month: int, count: int) -> Iterator[dict[str, str]]:
    minutes = sorted(chance.randrange(24 * 60) for _ in range(count))
    for minute in minutes:
        zone, payment = chance.choice(ZONES), chance.choice(PAYMENTS)
        distance = round(chance.lognormvariate(1.2, 0.6), 2)
        fare = round(3.5 + 2.1 * distance, 2)
        likely = -1.6 + 2.4 * (zone == "airport") + 1.2 * (payment == "card") - 0.15 * distance
        generous = chance.random() < 1 / (1 + math.exp(-likely))
        tip = fare * (chance.uniform(0.25, 0.4) if generous else chance.uniform(0, 0.24))
        yield {
            "picked_up_at": _time(day + timedelta(minutes=minute), month),
            "zone": zone,
            "payment": payment,
            "passengers": f"{chance.randint(1, 4)}" + (".0" if month in DECIMALS_IN else ""),
            "distance_km": f"{distance}" if chance.random() > 0.02 else NULLS[month],
            "fare": f"{fare}",
            "tip": f"{tip:.2f}",
            "note": NULLS[month],
            NEW_COLUMN: f"{chance.choice([1, 2])}.{chance.randint(0, 3)}.0",
        }


def _time(at: datetime, month: int) -> str:
    return f"{at:%d.%m.%Y %H:%M}" if month in OTHER_TIMES_IN else f"{at:%Y-%m-%d %H:%M:%S}"


def _spoil(ride: dict[str, str], number: int) -> None:
    column, value = ("picked_up_at", BAD_TIME) if number % (2 * UNREADABLE_EACH) else ("distance_km", BAD_NUMBER)
    ride[column] = value


def _write(path: Path, month: int, rides: list[dict[str, str]]) -> None:
    columns = [*COLUMNS, NEW_COLUMN] if month >= APPEARS_IN else COLUMNS
    with path.open("w", newline="", encoding="utf-8") as file:
        end = "\r\n" if month in CRLF_IN else "\n"
        writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator=end)
        writer.writeheader()
        writer.writerows(rides)
