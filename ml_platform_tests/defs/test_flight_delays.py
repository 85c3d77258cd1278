"""The example on its real data: what the source gives is sane, and no feature knows anything of the future."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
import yaml

from ml_platform.contracts.errors import SpecError
from ml_platform.contracts.records import Window
from ml_platform.data.lake.tables import PARTITION
from ml_platform.data.quality.rows import Validated, validate
from ml_platform.defs import flight_delays
from ml_platform.defs.flight_delays.source import _file, load_flights
from ml_platform.orchestration.lookups import load_lookup
from ml_platform.orchestration.resolution import Pipeline, resolve
from ml_platform_tests.pipelines.marks import QUIET

pytestmark = [pytest.mark.slow, *QUIET]

FOLDER = Path(flight_delays.__path__[0])
KNOWN_LATER = (
    "departure_delay_minutes",
    "air_minutes",
    "arrival_delay_minutes",
    "landed_at",
    "is_late",
)
FLIGHTS_OF_2013 = 336_776
KEYS = [f"2013-03-{day:02d}" for day in range(8, 13)]  # the clocks go forward on the tenth
TODAY = "2013-03-10"
TOLERANCE = timedelta(hours=6)


@cache
def _pipeline() -> Pipeline:
    document = yaml.safe_load((FOLDER / "defs.yaml").read_text())
    return resolve(document["attributes"], FOLDER / "defs.yaml", flight_delays.__name__)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    """Give the pipeline as its author wrote it."""
    return _pipeline()


@pytest.fixture(scope="module")
def year(pipeline: Pipeline) -> Validated:
    """Load and judge all of 2013."""
    rows = _load(pipeline, pipeline.calendar.keys())
    return validate(rows, pipeline.schema, pipeline.spec.key)


@pytest.fixture(scope="module")
def flights(year: Validated) -> pl.DataFrame:
    """Give the good flights of five days."""
    return year.kept.filter(pl.col(PARTITION).is_in(KEYS))


@pytest.fixture(scope="module")
def lookups(pipeline: Pipeline, flights: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Give the lookups of these days and the day before, and the flights themselves as the past."""
    keys = ["2013-03-07", *KEYS]
    return {name: load_lookup(pipeline, name, keys).drop(PARTITION) for name in pipeline.lookups} | {"history": flights}


def _load(pipeline: Pipeline, keys: list[str]) -> pl.DataFrame:
    loaded = pipeline.source.load(keys)
    assert loaded.rejected.is_empty()
    return loaded.rows


def _features_of_today(pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame]) -> pl.DataFrame:
    """Make features of all rows, and give those of the rows up to today."""
    end = pipeline.calendar.window([TODAY]).end
    made = pipeline.plan.transform(flights, lookups)
    return made.filter(pl.col("scheduled_departure") < end)


def test_every_flight_of_2013_is_there(pipeline: Pipeline, year: Validated) -> None:
    """On every day of the year; one row of them is bad, and no day fails for it."""
    assert len(year.kept) + len(year.quarantined) == FLIGHTS_OF_2013
    assert year.quarantined["reason"].to_list() == ["distance_miles: greater_than(50)"]
    counts = year.kept.group_by(PARTITION).len()["len"].to_list()
    assert 1 / min(counts) <= pipeline.spec.quality.quarantine_at_most
    assert len(counts) == pipeline.spec.partitions.days == 365
    assert min(counts) >= pipeline.spec.quality.rows_at_least


def test_days_loaded_alone_are_the_days_of_the_year(pipeline: Pipeline, year: Validated) -> None:
    """The first, the last, and those on which the clocks change."""
    everything = pl.concat([year.kept, year.quarantined.drop("reason")])
    for key in ("2013-01-01", "2013-03-10", "2013-11-03", "2013-12-31"):
        alone = _load(pipeline, [key])
        assert alone[PARTITION].unique().to_list() == [key]
        assert alone.sort("flight_id").equals(everything.filter(pl.col(PARTITION) == key).sort("flight_id"))


def test_flights_arrive_after_a_flight(year: Validated) -> None:
    """The clock at the destination is read in its own zone: no flight is faster than sound or takes a day."""
    hours = (pl.col("scheduled_arrival") - pl.col("scheduled_departure")).dt.total_minutes() / 60
    speeds = year.kept.select(hours=hours, mph=pl.col("distance_miles") / hours)
    assert speeds.filter((pl.col("hours") <= 0.4) | (pl.col("hours") > 12)).is_empty()
    assert speeds["mph"].is_between(40, 650).all()
    assert speeds["mph"].is_between(150, 550).to_numpy().mean() > 0.95


def test_a_known_flight_has_its_known_times(year: Validated) -> None:
    """UA 1545 to Houston on New Year's Day: planned 05:15 to 08:19 Central, landed eleven minutes late."""
    row = year.kept.row(by_predicate=pl.col("flight_id") == "20130101-UA-1545-EWR", named=True)
    assert row["scheduled_departure"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert row["scheduled_arrival"] == datetime(2013, 1, 1, 14, 19, tzinfo=UTC)
    assert row["landed_at"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)
    assert row["is_late"] is False


def test_the_label_is_known_when_the_flight_has_landed(year: Validated) -> None:
    """After its departure, within two days; late is a quarter of an hour or more; a cancelled flight has no label."""
    rows = year.kept.with_columns(late=(pl.col("landed_at") - pl.col("scheduled_arrival")).dt.total_minutes())
    landed = rows.filter(pl.col("landed_at").is_not_null())
    assert landed["is_late"].null_count() == 0
    assert (landed["is_late"] == (landed["late"] >= 15)).all()
    took = landed["landed_at"] - landed["scheduled_departure"]
    assert took.is_between(timedelta(0), timedelta(days=2), closed="none").all()
    unknown = rows.filter(pl.col("landed_at").is_null())
    assert len(unknown) == 9429
    assert unknown["is_late"].null_count() == len(unknown)
    assert 0.2 < landed["is_late"].to_numpy().mean() < 0.3


def test_no_column_of_the_future_is_named(pipeline: Pipeline) -> None:
    """Neither among inputs, nor among features, nor in what a request carries, nor in what the plan takes in."""
    spec = pipeline.spec
    assert set(KNOWN_LATER) < set(pipeline.schema.columns)
    named = {
        *spec.key,
        spec.event_time,
        *spec.features.inputs,
        *spec.features.columns,
        *pipeline.plan.raw_columns,
        *(field.name for field in pipeline.signature),
    }
    assert named.isdisjoint(KNOWN_LATER)
    assert {spec.label.column, spec.label.known_at} < set(KNOWN_LATER)


def test_the_plan_drops_the_columns_of_the_future(
    pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame]
) -> None:
    """Without them it gives the same; an author's function that reads one does not find it."""
    made = pipeline.plan.transform(flights, lookups)
    assert made.columns == [*pipeline.spec.key, pipeline.spec.event_time, *pipeline.spec.features.columns]
    assert pipeline.plan.transform(flights.drop(KNOWN_LATER), lookups).equals(made)
    assert made["weather_wind_mph"].null_count() < 0.02 * len(made)
    code = f"{pipeline.plan.code}\n\ndef peek(flights):\n    return build(flights.with_columns(carrier='is_late'))\n"
    with pytest.raises(SpecError, match=r"feature function peek: .*is_late"):
        replace(pipeline.plan, code=code, function="peek").transform(flights, lookups)


def test_shuffled_outcomes_change_no_feature(
    pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame]
) -> None:
    """The columns known later, each in another order."""
    shuffled = flights.with_columns(pl.col(name).shuffle(seed) for seed, name in enumerate(KNOWN_LATER))
    assert not shuffled.equals(flights)
    expected = _features_of_today(pipeline, flights, lookups)
    assert _features_of_today(pipeline, shuffled, lookups).equals(expected)


def test_another_tomorrow_changes_no_feature_of_today(
    pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame]
) -> None:
    """Flights of later days turned round, or not there at all."""
    expected = _features_of_today(pipeline, flights, lookups)
    is_later = pl.col(PARTITION) > TODAY
    today, later = flights.filter(~is_later), flights.filter(is_later)
    turned = later.with_columns(pl.all().exclude("flight_id", "scheduled_departure", PARTITION).reverse())
    assert len(later) > 1000
    for rows in (pl.concat([today, turned]), today):
        assert _features_of_today(pipeline, rows, lookups | {"history": rows}).equals(expected)


def test_what_became_of_a_flight_counts_once_it_has_landed(
    pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame]
) -> None:
    """Flight by flight: other outcomes of flights landed after its departure change nothing, of the others they do."""
    day = flights.filter(pl.col(PARTITION) == TODAY).sort("scheduled_departure")
    counted = 0
    for place in range(0, len(day), 40):
        flight = day[place : place + 1]
        at = flight["scheduled_departure"][0]
        expected = pipeline.plan.transform(flight, lookups)
        for has_landed in (False, True):
            is_turned = pl.col("landed_at") <= at if has_landed else pl.col("landed_at") > at
            turned = flights.with_columns(is_late=pl.when(is_turned).then(~pl.col("is_late")).otherwise("is_late"))
            made = pipeline.plan.transform(flight, lookups | {"history": turned})
            assert made.equals(expected) or has_landed
            counted += has_landed and not made.equals(expected)
    assert counted == len(range(0, len(day), 40)) > 10


def _blank(weather: pl.DataFrame, is_changed: pl.Expr) -> pl.DataFrame:
    """Replace every measured value of some reports by one that nobody ever measured."""
    names = [name for name in weather.columns if name not in ("origin", "known_at")]
    return weather.with_columns(pl.when(is_changed).then(-9999.0).otherwise(name).alias(name) for name in names)


@pytest.mark.parametrize("origin", ["EWR", "JFK", "LGA"])
def test_weather_that_is_known_after_the_departure_does_not_enter(
    pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame], origin: str
) -> None:
    """Flight by flight: every report known after it is replaced, and its features stay; one known before it counts."""
    day = flights.filter((pl.col(PARTITION) == TODAY) & (pl.col("origin") == origin)).sort("scheduled_departure")
    counted = 0
    for place in range(0, len(day), 12):
        flight = day[place : place + 1]
        at = flight["scheduled_departure"][0]
        expected = pipeline.plan.transform(flight, lookups)
        future = lookups | {"weather": _blank(lookups["weather"], pl.col("known_at") > at)}
        assert pipeline.plan.transform(flight, future).equals(expected)
        past = lookups | {"weather": _blank(lookups["weather"], pl.col("known_at") <= at)}
        counted += not pipeline.plan.transform(flight, past).equals(expected)
    assert counted == len(range(0, len(day), 12)) > 10


def test_weather_is_as_it_was_known_and_not_too_old(
    pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame]
) -> None:
    """The instant at which each joined report became known, taken through the plan as if it were a measurement."""
    weather = lookups["weather"].with_columns(temperature_f=pl.col("known_at").dt.epoch("s").cast(pl.Float64))
    gappy = weather.filter((pl.col("known_at").dt.hour() > 18) | (pl.col("known_at").dt.hour() < 4))
    for reports, has_gaps in ((weather, False), (gappy, True)):
        made = pipeline.plan.transform(flights, lookups | {"weather": reports})
        age = made.select(age=pl.col("scheduled_departure").dt.epoch("s") - pl.col("weather_temperature_f"))["age"]
        assert age.drop_nulls().is_between(0, TOLERANCE.total_seconds()).all()
        assert (age.null_count() > 100) == has_gaps
        assert (age > 5 * 3600).any() == has_gaps


def test_a_report_is_known_an_hour_after_it_was_taken(pipeline: Pipeline) -> None:
    """The hour in the file is that of the measurement; by its end it is known, and no report comes twice."""
    taken = pd.to_datetime(pd.read_csv(_file("weather.csv"))["time_hour"], utc=True)
    weather = _weather(pipeline, ["2013-01-01", "2014-01-01"])
    assert weather["known_at"].min() == taken.min() + timedelta(hours=1)
    assert weather.select("origin", "known_at").is_unique().all()
    assert len(weather) > 26_000


def test_weather_is_loaded_by_when_it_was_known(pipeline: Pipeline) -> None:
    """Only the reports of the window asked for, its end excluded."""
    window = pipeline.calendar.window([TODAY])
    weather = _weather(pipeline, [TODAY])
    assert weather["known_at"].min() == window.start
    assert weather["known_at"].max() == window.end - timedelta(hours=1)
    assert sorted(weather["origin"].unique()) == ["EWR", "JFK", "LGA"]


def _weather(pipeline: Pipeline, keys: list[str]) -> pl.DataFrame:
    return load_lookup(pipeline, "weather", keys)


def test_the_clock_features_are_new_yorks(
    pipeline: Pipeline, flights: pl.DataFrame, lookups: dict[str, pl.DataFrame]
) -> None:
    """The hour and the weekday of the timetable, in winter and in summer time; a trip's length is real time."""
    timetable = pl.from_pandas(pd.read_csv(_file("flights.csv.zip")).query("month == 3 and 8 <= day <= 12"))
    key = pl.format(
        "{}03{}-{}-{}-{}", "year", pl.col("day").cast(pl.String).str.zfill(2), "carrier", "flight", "origin"
    )
    expected = timetable.select(
        flight_id=key,
        departure_hour=pl.col("hour") + pl.col("minute") / 60,
        departure_weekday=pl.date("year", "month", "day").dt.weekday().cast(pl.Float64),
    ).sort("flight_id")
    made = pipeline.plan.transform(flights, lookups).sort("flight_id")
    assert made.select(expected.columns).equals(expected)
    honolulu = made.filter(pl.col("dest") == "HNL")
    assert honolulu["scheduled_minutes"].is_between(600, 700).all()
    assert len(honolulu) > 5


def test_the_source_is_asked_for_any_window() -> None:
    """Half-open: a flight at its start is in it, one at its end is not; outside the year there is nothing."""
    at = datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    minute = timedelta(minutes=1)
    first = load_flights(Window(start=at, end=at + minute))
    assert first["flight_id"].tolist() == ["20130101-UA-1545-EWR"]
    assert load_flights(Window(start=at - minute, end=at)).empty
    assert load_flights(Window(start=at.replace(year=2015), end=at.replace(year=2016))).empty
