"""From what is known at departure to what the model sees."""

import polars as pl


def build(rides: pl.DataFrame) -> pl.DataFrame:
    """Add the hour and how full each stop would be."""
    return rides.with_columns(
        hour=pl.col("departs_at").dt.convert_time_zone("Europe/Berlin").dt.hour().cast(pl.Float64),
        crowding=pl.col("passengers") / pl.col("lines_stops"),
    )
