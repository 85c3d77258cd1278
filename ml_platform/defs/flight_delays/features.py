"""From what is known at the scheduled departure to what a model sees. Self-contained: it is shipped with the model."""

import polars as pl

NEW_YORK = "America/New_York"


def build(flights: pl.DataFrame) -> pl.DataFrame:
    """Add the clock, the length of the trip and the age of the plane; one row out for each row in."""
    departure = pl.col("scheduled_departure").dt.convert_time_zone(NEW_YORK)
    arrival = pl.col("scheduled_arrival").dt.convert_time_zone(NEW_YORK)
    return flights.with_columns(
        departure_hour=departure.dt.hour() + departure.dt.minute() / 60,
        departure_weekday=departure.dt.weekday().cast(pl.Float64),
        arrival_hour=arrival.dt.hour() + arrival.dt.minute() / 60,
        scheduled_minutes=(arrival - departure).dt.total_minutes().cast(pl.Float64),
        plane_age_years=departure.dt.year() - pl.col("planes_built_year"),
    )
