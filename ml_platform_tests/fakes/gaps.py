"""A model of rides whose inputs, one of each type, may all be null; and rows with gaps, as each door takes them."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import polars as pl

from ml_platform.contracts.records import FieldType, SignatureField
from ml_platform.features.encoding import Encoder
from ml_platform.features.plan import FeaturePlan
from ml_platform.features.types import POLARS_TYPES
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, write_bundle

PIPELINE = "rides"
START = datetime(2013, 1, 1, tzinfo=UTC)
CODE = '''"""Features of rides."""

import polars as pl


def build(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(waited=(pl.col("at") - pl.col("booked_at")).dt.total_minutes())
'''
INPUTS: dict[str, FieldType] = {
    "passengers": "int64", "is_wet": "bool", "zone": "string", "fare": "float64", "booked_at": "timestamp",
}  # fmt: skip
PLAN = FeaturePlan(
    key=("ride_id",),
    event_time="at",
    inputs=tuple(INPUTS),
    columns=("passengers", "is_wet", "zone", "fare", "waited"),
    lookups=(),
    function="build",
    code=CODE,
)
SIGNATURE = (
    SignatureField(name="ride_id", type="int64", nullable=False),
    SignatureField(name="at", type="timestamp", nullable=False),
    *(SignatureField(name=name, type=kind, nullable=True) for name, kind in INPUTS.items()),
)


def make_rides(count: int, seed: int, gaps: Mapping[str, float]) -> pl.DataFrame:
    """Make rows; `gaps` is the share of nulls by input."""
    rng = np.random.default_rng(seed)
    at = [START + timedelta(minutes=int(minute)) for minute in rng.integers(0, 10_000, count)]
    whole = pl.DataFrame(
        {
            "ride_id": np.arange(count),
            "at": pl.Series(at, dtype=POLARS_TYPES["timestamp"]),
            "passengers": rng.integers(1, 7, count),
            "is_wet": rng.random(count) < 0.3,
            "zone": rng.choice(["north", "south", "west"], count),
            "fare": rng.gamma(3, 5, count).round(2),
            "booked_at": pl.Series(
                [each - timedelta(minutes=int(rng.integers(1, 90))) for each in at], dtype=POLARS_TYPES["timestamp"]
            ),
        }
    )
    is_gap = {name: pl.Series(rng.random(count) < gaps.get(name, 0.0)) for name in INPUTS}
    return whole.with_columns(whole[name].set(where, None) for name, where in is_gap.items())


def make_bundle(root: Path, example: pl.DataFrame, seed: int = 0) -> Bundle:
    """Fit a model on rows with and without gaps, and write its bundle with some example rows."""
    rows = make_rides(800, seed, {"passengers": 0.1, "zone": 0.1, "waited": 0.1})
    features = PLAN.transform(rows, {})
    encoder = Encoder.fit(features, PLAN.columns)
    score = features["passengers"].fill_null(9) + 3 * features["is_wet"].cast(pl.Int64) + features["fare"] / 5
    data = lgb.Dataset(
        encoder.encode(features), (score - features["waited"] / 20).to_numpy(), feature_name=list(PLAN.columns),
        categorical_feature=encoder.categorical,
    )  # fmt: skip
    booster = lgb.train({"objective": "regression", "num_threads": 1, "verbosity": -1}, data, num_boost_round=30)
    predictions = booster.predict(encoder.encode(PLAN.transform(example, {}))) if len(example) else np.empty(0)
    shown = {"rows": example.select(PLAN.raw_columns).to_dicts(), "predictions": np.asarray(predictions).tolist()}
    named: dict[str, object] = {
        files.MODEL: {"kind": "lightgbm", "task": "regression", "file": "model.txt"},
        files.ENCODER: encoder.to_json(),
        files.FEATURES: PLAN.to_json(),
        files.SIGNATURE: [field.model_dump() for field in SIGNATURE],
        files.REFERENCE: {},
        files.SERVING: {"batch_at_most": 200},
        files.EXAMPLE: shown,
    }
    content = {name: json.dumps(value, default=lambda at: at.isoformat()).encode() for name, value in named.items()}
    content |= {"model.txt": booster.model_to_string().encode(), files.FEATURE_CODE: CODE.encode()}
    return write_bundle(
        root, content, pipeline=PIPELINE, as_of=f"2013-01-{21 + seed:02d}", kind="lightgbm", spec_digest="0" * 64,
        rows_digest="0" * 64, code_version="test", data=(), libraries={"lightgbm": lgb.__version__},
    )  # fmt: skip


def json_rows(rows: pl.DataFrame, *, with_floats: bool) -> list[dict[str, Any]]:
    """Give rows as a caller sends them; `with_floats` writes integers with gaps as pandas would, 3.0 for 3."""
    times = pl.col(pl.Datetime).dt.strftime("%Y-%m-%dT%H:%M:%S.%6fZ")
    plain = rows.select(PLAN.raw_columns).with_columns(times)
    return (plain.cast({"passengers": pl.Float64}) if with_floats else plain).to_dicts()


def tensors(rows: pl.DataFrame, *, with_floats: bool) -> list[dict[str, Any]]:
    """Give the tensors of the Open Inference Protocol."""
    datatypes = {"int64": "INT64", "float64": "FP64", "bool": "BOOL", "string": "BYTES", "timestamp": "BYTES"}
    asked = json_rows(rows, with_floats=with_floats)
    made = []
    for field in SIGNATURE:
        datatype = "FP64" if with_floats and field.name == "passengers" else datatypes[field.type]
        data = [row[field.name] for row in asked]
        made.append({"name": field.name, "shape": [len(asked)], "datatype": datatype, "data": data})
    return made


def _plain(rows: pl.DataFrame) -> pd.DataFrame:
    """Give what pandas itself makes of the rows: integers with gaps are floats with NaN, times have no zone."""
    frame = pd.DataFrame(rows.select(PLAN.raw_columns).to_dicts(), columns=list(PLAN.raw_columns))
    for name in ("at", "booked_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.tz_localize(None)
    return frame


def _with(value: object) -> Callable[[pl.DataFrame], pd.DataFrame]:
    """Write every gap as this value, in columns of objects."""

    def write(rows: pl.DataFrame) -> pd.DataFrame:
        frame = _plain(rows)
        for name in INPUTS:
            values = [value if each is None else each for each in rows[name].to_list()]
            frame[name] = pd.Series(values, dtype=object)
        return frame

    return write


def _extension(rows: pl.DataFrame) -> pd.DataFrame:
    types = {"passengers": "Int64", "is_wet": "boolean", "zone": "string", "fare": "Float64"}
    return _with(None)(rows).astype(types)


def _absent(rows: pl.DataFrame) -> pd.DataFrame:
    """Leave a column out where it has no value at all."""
    return _plain(rows).drop(columns=[name for name in INPUTS if rows[name].null_count() == len(rows)])


# How pandas may hold one and the same rows.
PANDAS: dict[str, Callable[[pl.DataFrame], pd.DataFrame]] = {
    "as pandas makes them": _plain,
    "None": _with(None),
    "NaN": _with(float("nan")),
    "NA": _with(pd.NA),
    "NaT": _with(pd.NaT),
    "extension types": _extension,
    "absent": _absent,
}
