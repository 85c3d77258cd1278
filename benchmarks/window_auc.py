"""What windows are worth: as of 2013-03-01, the AUC on the flights of March without and with them.

Run with `python -m benchmarks.window_auc`. Trained on January and February, stopped early on the last week of them, by
the platform's own trainer. In March each flight sees what was known at its departure.
"""

from pathlib import Path

import polars as pl
import yaml

from ml_platform.contracts.spec import LightGBMModel, PipelineSpec
from ml_platform.defs import flight_delays
from ml_platform.defs.flight_delays import source
from ml_platform.features.plan import FeaturePlan
from ml_platform.training.fitting import fit_model
from ml_platform.validation.metrics import score

PLAIN = ["carrier", "origin", "dest", "distance_miles", "hour", "weekday"]
PARTS = {
    "train": ("2013-01-01", "2013-02-22"),
    "validation": ("2013-02-22", "2013-03-01"),
    "march": ("2013-03-01", "2013-04-01"),
}
DERIVE = {"hour": "extract(hour from scheduled_departure)", "weekday": "extract(dow from scheduled_departure)"}


def main() -> None:
    """Train twice and print both."""
    rows = _rows()
    windows = [window.name for window in _spec().features.windows]
    plain, better = (_auc(rows, columns) for columns in (PLAIN, [*PLAIN, *windows]))
    print(f"plain         {plain:.3f}   {', '.join(PLAIN)}")
    print(f"with windows  {better:.3f}   and {', '.join(windows)}")


def _spec() -> PipelineSpec:
    """Give the example with the plain features, and its own windows."""
    path = Path(flight_delays.__path__[0]) / "defs.yaml"
    attributes = yaml.safe_load(path.read_text())["attributes"]
    own = attributes["features"]
    columns = [*PLAIN, *(window["name"] for window in own["windows"])]
    features = {"inputs": own["inputs"], "windows": own["windows"], "derive": DERIVE, "columns": columns}
    return PipelineSpec.model_validate({**attributes, "features": features})


def _rows() -> pl.DataFrame:
    flights = pl.from_pandas(source._flights()).filter(pl.col("scheduled_departure").dt.year() == 2013)
    flights = flights.filter(pl.col("scheduled_departure").dt.month() <= 4)
    made = FeaturePlan.from_spec(_spec(), None).transform(flights, {"history": flights})
    day = pl.col("scheduled_departure").dt.convert_time_zone(source.NEW_YORK).dt.date().cast(pl.String)
    part = pl.coalesce(pl.when((day >= first) & (day < end)).then(pl.lit(name)) for name, (first, end) in PARTS.items())
    rows = made.with_columns(part=part, label=flights["is_late"])
    return rows.drop_nulls(["label", "part"])


def _auc(rows: pl.DataFrame, columns: list[str]) -> float:
    trained = fit_model(rows, columns, LightGBMModel(kind="lightgbm"), "binary")
    march = rows.filter(pl.col("part") == "march")
    return score(march["label"].cast(pl.Float64).to_numpy(), trained.predict(march), "binary")["roc_auc"]


if __name__ == "__main__":
    main()
