"""What a row of flights must be. A row that breaks a rule goes to quarantine; a missing column fails the partition."""

from typing import Annotated

import pandas as pd
import pandera.pandas as pa
from pandera.typing.pandas import Series

UtcTime = Annotated[pd.DatetimeTZDtype, "us", "UTC"]


class Flights(pa.DataFrameModel):
    """One scheduled flight out of New York; the columns from `departure_delay_minutes` on are known only after it."""

    flight_id: Series[pd.StringDtype]
    scheduled_departure: Series[UtcTime]
    scheduled_arrival: Series[UtcTime]
    carrier: Series[pd.StringDtype] = pa.Field(str_length={"min_value": 2, "max_value": 2})
    origin: Series[pd.StringDtype] = pa.Field(isin=["EWR", "JFK", "LGA"])
    dest: Series[pd.StringDtype] = pa.Field(str_length={"min_value": 3, "max_value": 3})
    tailnum: Series[pd.StringDtype] = pa.Field(nullable=True)
    distance_miles: Series[float] = pa.Field(gt=50, lt=6000)
    departure_delay_minutes: Series[float] = pa.Field(nullable=True, ge=-120, le=1500)
    air_minutes: Series[float] = pa.Field(nullable=True, gt=0, le=800)
    arrival_delay_minutes: Series[float] = pa.Field(nullable=True, ge=-180, le=1500)
    landed_at: Series[UtcTime] = pa.Field(nullable=True)
    is_late: Series[pd.BooleanDtype] = pa.Field(nullable=True)

    @pa.dataframe_check(name="lands_after_departure")
    @classmethod
    def _lands_after_departure(cls, rows: pd.DataFrame) -> pd.Series:
        return (rows["scheduled_arrival"] > rows["scheduled_departure"]) & ~(
            rows["landed_at"] <= rows["scheduled_departure"]
        )
