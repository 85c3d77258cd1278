"""A tiny pipeline to serve: will made-up parcels come late? A string, two numbers, a plain and a timed lookup."""

import io
import json
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import polars as pl

from ml_platform.contracts.home import Home
from ml_platform.contracts.ports import Ledger
from ml_platform.contracts.records import SignatureField
from ml_platform.features.encoding import Encoder
from ml_platform.features.lookups import LookupPlan
from ml_platform.features.plan import FeaturePlan
from ml_platform.registry import bundle as files
from ml_platform.registry.bundle import Bundle, write_bundle

PIPELINE = "parcels"
START = datetime(2013, 1, 1, tzinfo=UTC)
CODE = '''"""Features of parcels."""

import polars as pl


def build(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        hour=pl.col("asked_at").dt.hour(),
        speed=pl.col("distance") / (1 + pl.col("weight").fill_null(0)),
    )
'''
PLAN = FeaturePlan(
    key=("parcel_id",),
    event_time="asked_at",
    inputs=("carrier", "distance", "weight"),
    columns=("carrier", "distance", "weight", "hour", "speed", "depot_size", "road_ice"),
    lookups=(
        LookupPlan("depot", ("carrier",), None, None),
        LookupPlan("road", ("carrier",), "measured_at", timedelta(hours=6)),
    ),
    function="build",
    code=CODE,
)
SIGNATURE = (
    SignatureField(name="parcel_id", type="int64", nullable=False),
    SignatureField(name="asked_at", type="timestamp", nullable=False),
    SignatureField(name="carrier", type="string", nullable=False),
    SignatureField(name="distance", type="float64", nullable=False),
    SignatureField(name="weight", type="float64", nullable=True),
)


def make_rows(count: int, seed: int = 0) -> pl.DataFrame:
    """Make raw rows with their label, which depends on carrier, distance and hour."""
    rng = np.random.default_rng(seed)
    minutes = rng.integers(0, 60 * 24 * 20, count)
    distance = rng.uniform(1, 500, count).round(3)
    carrier = rng.choice(["ant", "bee", "cat"], count)
    chance = 0.1 + 0.5 * (distance > 250) + 0.3 * (carrier == "bee")
    return pl.DataFrame(
        {
            "parcel_id": np.arange(count),
            "asked_at": pl.Series([START + timedelta(minutes=int(m)) for m in minutes], dtype=pl.Datetime("us", "UTC")),
            "carrier": carrier,
            "distance": distance,
            "weight": pl.Series(rng.uniform(0, 9, count)).set(pl.Series(rng.random(count) < 0.1), None),
            "is_late": rng.random(count) < chance,
        }
    )


def make_lookups(ice: float = 0.0) -> dict[str, pl.DataFrame]:
    """Make the depots, and road measurements of every third hour with `ice` added."""
    hours = [START + timedelta(hours=hour) for hour in range(0, 24 * 20, 3)]
    road = pl.DataFrame(
        {
            "carrier": ["ant", "bee"] * len(hours),
            "measured_at": [at for at in hours for _ in range(2)],
            "ice": np.random.default_rng(1).random(2 * len(hours)) + ice,
        }
    )
    return {"depot": pl.DataFrame({"carrier": ["ant", "bee"], "size": [10, 20]}), "road": road}


def to_json_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Give the signature's fields of each row as a caller would send them."""
    names = [field.name for field in SIGNATURE]
    return [row | {"asked_at": row["asked_at"].isoformat()} for row in frame.select(names).iter_rows(named=True)]


def to_arrow(frame: pl.DataFrame) -> bytes:
    """Give a frame as Arrow IPC."""
    content = io.BytesIO()
    frame.write_ipc(content)
    return content.getvalue()


@lru_cache
def make_files(seed: int = 0) -> dict[str, bytes]:
    """Train on made-up rows; another seed gives another model. Gives the files of a bundle."""
    rows, lookups = make_rows(600, seed), make_lookups()
    features = PLAN.transform(rows, lookups)
    encoder = Encoder.fit(features, PLAN.columns)
    columns = list(PLAN.columns)
    data = lgb.Dataset(
        encoder.encode(features),
        rows["is_late"].to_numpy().astype(float),
        feature_name=columns,
        categorical_feature=encoder.categorical,
    )
    params = {"objective": "binary", "num_leaves": 7, "num_threads": 1, "verbosity": -1, "seed": seed}
    booster = lgb.train(params, data, num_boost_round=20)
    named: dict[str, object] = {
        files.MODEL: {"kind": "lightgbm", "task": "binary", "file": "model.txt"},
        files.ENCODER: encoder.to_json(),
        files.FEATURES: PLAN.to_json(),
        files.SIGNATURE: [field.model_dump() for field in SIGNATURE],
        files.REFERENCE: {},
        files.SERVING: {"batch_at_most": 200},
    }
    return {
        "model.txt": booster.model_to_string().encode(),
        files.FEATURE_CODE: CODE.encode(),
        **{name: json.dumps(value).encode() for name, value in named.items()},
        **{files.lookup_file(name): to_arrow(frame) for name, frame in lookups.items()},
    }


def make_bundle(root: Path, seed: int = 0, **changed: bytes) -> Bundle:
    """Write the bundle of `make_files(seed)`, with some files changed (`model__txt=...` for `model.txt`)."""
    content = make_files(seed) | {name.replace("__", "."): data for name, data in changed.items()}
    return write_bundle(
        root,
        content,
        pipeline=PIPELINE,
        as_of=f"2013-01-{21 + seed:02d}",
        kind="lightgbm",
        spec_digest="0" * 64,
        rows_digest="0" * 64,
        code_version="test",
        data=(),
        libraries={"lightgbm": lgb.__version__},
    )


def deploy(home: Home, seed: int = 0) -> Bundle:
    """Write a bundle where servers of a home look for it."""
    digest = make_bundle(home.root / f"built-{seed}", seed).digest
    return make_bundle(home.bundles / PIPELINE / digest, seed)


def promote(ledger: Ledger, version: int, bundle: Bundle) -> None:
    """Make a version the champion."""
    payload = {"digest": bundle.digest, "as_of": bundle.manifest.as_of}
    seq = len(ledger.read(PIPELINE)) + 1
    ledger.append(
        PIPELINE, "promoted", expected_seq=seq, actor="test", because="a test", version=version, payload=payload
    )
