"""The tiny pipeline with other labels: how long a bus is late, in three words or in minutes."""

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing.pandas import Series

from ml_platform.contracts.records import Window
from ml_platform_tests.pipelines.tiny import schema, source

NAME = "several"
GATES: dict[str, list[dict[str, Any]]] = {
    "binary": [{"metric": "log_loss", "at_most": 0.68}],
    "multiclass": [
        {"metric": "log_loss", "versus": "baseline", "better_by": 0.05},
        {"metric": "log_loss", "versus": "champion", "worse_by_at_most": 0.5},
    ],
    "regression": [{"metric": "mae", "at_most": 100}],
}


class Rides(schema.Rides):
    """One ride, with how late it was."""

    delay: Series[pd.StringDtype] = pa.Field(nullable=True)
    minutes_late: Series[float] = pa.Field(nullable=True)


def load_rides(window: Window) -> pd.DataFrame:
    """Give the rides of the tiny pipeline: late ones are long late where many ride along."""
    rides = source.load_rides(window)
    is_late, passengers = rides["is_late"].to_numpy(dtype=bool), rides["passengers"].to_numpy()
    delay = np.where(is_late, np.where(passengers > 60, "long", "short"), "none")
    drawn = np.random.default_rng(len(rides)).exponential(5, len(rides))
    return rides.assign(delay=delay, minutes_late=is_late * passengers / 5 + drawn)


def changed(task: str, models: dict[str, Any]) -> dict[str, Any]:
    """Give what differs from the tiny pipeline's attributes for a task and some models."""
    columns = {"binary": "is_late", "multiclass": "delay", "regression": "minutes_late"}
    return {
        "source": {"kind": "python", "load": f"{__name__}.load_rides"},
        "schema": f"{__name__}.Rides",
        "label": {"column": columns[task], "task": task, "known_at": "arrived_at"},
        "gates": GATES[task],
        "models": models,
    }
