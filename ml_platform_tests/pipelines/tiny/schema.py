"""What a row of rides must be."""

from typing import Annotated

import pandas as pd
import pandera.pandas as pa
from pandera.typing.pandas import Series

UtcTime = Annotated[pd.DatetimeTZDtype, "us", "UTC"]


class Rides(pa.DataFrameModel):
    """One ride of a bus."""

    ride_id: Series[pd.StringDtype]
    departs_at: Series[UtcTime]
    line: Series[pd.StringDtype] = pa.Field(isin=["u1", "u2", "u3"])
    passengers: Series[float] = pa.Field(ge=0, le=500)
    arrived_at: Series[UtcTime] = pa.Field(nullable=True)
    is_late: Series[pd.BooleanDtype] = pa.Field(nullable=True)
