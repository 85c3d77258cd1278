"""Rides made up day by day: the same day gives the same rows, whatever was asked before.

`$TINY_FAULTS` breaks days on purpose: JSON, fault -> days (`{"no_rows": ["2020-01-05"]}`).
"""

import json
import os
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from ml_platform.contracts.records import Window

FAULTS = "TINY_FAULTS"
BERLIN = ZoneInfo("Europe/Berlin")
LINES = ["u1", "u2", "u3"]
RIDES_A_DAY = 120
REPORTS_A_DAY = 24


def load_rides(window: Window) -> pd.DataFrame:
    """Give the rides that depart within the window."""
    return pd.concat([_broken(day, _rides(day)) for day in _days(window)], ignore_index=True)


def load_road(window: Window) -> pd.DataFrame:
    """Give the reports of ice that became known within the window, one each hour and line."""
    return pd.concat([_road(day) for day in _days(window)], ignore_index=True)


def load_lines() -> pd.DataFrame:
    """Give the number of stops of each line."""
    return pd.DataFrame({"line": LINES, "stops": [10, 20, 30]})


def _days(window: Window) -> list[date]:
    first, end = (at.astimezone(BERLIN).date() for at in (window.start, window.end))
    return [first + timedelta(days=past) for past in range((end - first).days)]


def _midnight(day: date) -> pd.Timestamp:
    return pd.Timestamp(datetime(day.year, day.month, day.day, tzinfo=BERLIN)).tz_convert("UTC")


def _rides(day: date) -> pd.DataFrame:
    rng = np.random.default_rng(day.toordinal())
    minutes = np.sort(rng.integers(0, 24 * 60, RIDES_A_DAY))
    line = rng.choice(LINES, RIDES_A_DAY)
    passengers = rng.uniform(0, 100, RIDES_A_DAY).round(1)
    ice = _road(day)["ice"].to_numpy().reshape(REPORTS_A_DAY, len(LINES))
    seen = ice[minutes // 60, [LINES.index(each) for each in line]]
    chance = 1 / (1 + np.exp(3.2 - 2.5 * (line == "u3") - 0.03 * passengers - 2.5 * seen))
    departs_at = _midnight(day) + pd.to_timedelta(minutes, unit="m")
    return pd.DataFrame(
        {
            "ride_id": [f"{day:%Y%m%d}-{number:03d}" for number in range(RIDES_A_DAY)],
            "departs_at": departs_at,
            "line": line,
            "passengers": passengers,
            "arrived_at": departs_at + pd.Timedelta(minutes=30),
            "is_late": pd.array(rng.random(RIDES_A_DAY) < chance, dtype="boolean"),
        }
    )


def _road(day: date) -> pd.DataFrame:
    rng = np.random.default_rng(-day.toordinal() % 2**32)
    hours = np.repeat(np.arange(REPORTS_A_DAY), len(LINES))
    return pd.DataFrame(
        {
            "line": LINES * REPORTS_A_DAY,
            "measured_at": _midnight(day) + pd.to_timedelta(hours, unit="h"),
            "ice": rng.random(len(hours)),
        }
    )


def _shuffled_labels(rides: pd.DataFrame) -> pd.DataFrame:
    order = np.random.default_rng(0).permutation(len(rides))
    return rides.assign(is_late=rides["is_late"].array[order])


def _busier(rides: pd.DataFrame) -> pd.DataFrame:
    """Take the day's fullest rides again and again: another mix of rides, each as late as it was."""
    full = np.flatnonzero(rides["passengers"] >= 90)
    chosen = np.sort(np.random.default_rng(0).choice(full, len(rides)))
    return rides.iloc[chosen].assign(ride_id=rides["ride_id"].to_numpy()).reset_index(drop=True)


_BREAK: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "missing_column": lambda rides: rides.drop(columns="passengers"),
    "wrong_type": lambda rides: rides.assign(passengers="many"),
    "no_rows": lambda rides: rides.iloc[:0],
    "few_rows": lambda rides: rides.iloc[:10],
    "bad_values": lambda rides: rides.assign(passengers=rides["passengers"].where(rides.index % 5 > 0, -1.0)),
    "few_bad_values": lambda rides: rides.assign(passengers=rides["passengers"].where(rides.index % 20 > 0, -1.0)),
    "busier": _busier,
    "drifted": lambda rides: rides.assign(passengers=rides["passengers"] + 100),
    "shuffled_labels": _shuffled_labels,
    "leaking": lambda rides: rides.assign(passengers=rides["passengers"] + 200.0 * rides["is_late"].astype(float)),
}


def _broken(day: date, rides: pd.DataFrame) -> pd.DataFrame:
    for fault, days in json.loads(os.environ.get(FAULTS, "{}")).items():
        if day.isoformat() in days:
            rides = _BREAK[fault](rides)
    return rides
