"""Rows with gaps in inputs of every type: each door gives the number that the model gives offline."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
import polars as pl
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml_platform.contracts.errors import RequestRejected
from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving.app import create_app
from ml_platform.serving.frames import pandas_to_frame
from ml_platform.serving.models import ModelTable
from ml_platform.serving.predictor import Predictor
from ml_platform_tests.fakes.gaps import (
    INPUTS,
    PANDAS,
    PIPELINE,
    PLAN,
    SIGNATURE,
    json_rows,
    make_bundle,
    make_rides,
    tensors,
)

SEEDS = range(12)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Give a home with one promoted version."""
    home = Home(tmp_path_factory.mktemp("home"))
    bundle = make_bundle(home.root / "built", make_rides(5, 1, {}))
    placed = make_bundle(home.bundles / PIPELINE / bundle.digest, make_rides(5, 1, {}))
    SqlLedger(home.ledger_url).append(
        PIPELINE, "promoted", expected_seq=1, actor="test", because="a test", version=1,
        payload={"digest": placed.digest, "as_of": placed.manifest.as_of},
    )  # fmt: skip
    return home


@pytest.fixture(scope="module")
def client(home: Home) -> Iterator[TestClient[Litestar]]:
    """Give a client of a server of that home."""
    with TestClient(create_app(ModelTable(home, SqlLedger(home.ledger_url)))) as client:
        yield client


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Give the model offline."""
    return Predictor.load(make_bundle(tmp_path_factory.mktemp("b") / "b", make_rides(5, 1, {})))


def _drawn(seed: int) -> pl.DataFrame:
    """Draw a few rows; in some columns nothing is missing, in some everything."""
    rng = np.random.default_rng(seed)
    shares: Mapping[str, float] = {name: float(rng.choice([0.0, 0.3, 1.0])) for name in INPUTS}
    return make_rides(int(rng.integers(1, 9)), seed, shares)


@pytest.mark.parametrize("with_floats", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_http_and_tensors_are_offline(
    client: TestClient[Litestar], predictor: Predictor, seed: int, with_floats: bool
) -> None:
    """A null, and an integer written as a float."""
    rows = _drawn(seed)
    offline = predictor.predict(PLAN.transform(rows, {})).tolist()
    plain = client.post(f"/predict/{PIPELINE}", json={"rows": json_rows(rows, with_floats=with_floats)})
    assert plain.json()["predictions"] == offline
    inputs = tensors(rows, with_floats=with_floats)
    assert client.post(f"/v2/models/{PIPELINE}/infer", json={"inputs": inputs}).json()["outputs"][0]["data"] == offline


@pytest.mark.parametrize("written", PANDAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_pandas_is_offline(predictor: Predictor, seed: int, written: str) -> None:
    """However pandas writes a gap."""
    rows = _drawn(seed)
    read = pandas_to_frame(PANDAS[written](rows), SIGNATURE)
    assert read.equals(rows.select(PLAN.raw_columns))
    np.testing.assert_array_equal(
        predictor.predict(PLAN.transform(read, {})), predictor.predict(PLAN.transform(rows, {}))
    )


def test_what_was_imputed_is_told_and_counted(client: TestClient[Litestar]) -> None:
    """Next to `unseen`, in the parameters of a tensor answer, and in a metric; by column."""
    rows = make_rides(3, 5, {"fare": 1.0, "passengers": 1.0}).with_columns(zone=pl.lit("moon"))
    before = _metric(client)
    answer = client.post(f"/predict/{PIPELINE}", json={"rows": json_rows(rows, with_floats=False)}).json()
    assert (answer["unseen"], answer["imputed"]) == ({"zone": 3}, {"fare": 3})
    inputs = tensors(rows, with_floats=False)
    told = client.post(f"/v2/models/{PIPELINE}/infer", json={"inputs": inputs}).json()["parameters"]
    assert told == {"unseen.zone": 3, "imputed.fare": 3}
    assert _metric(client) == before + 6


def _metric(client: TestClient[Litestar]) -> float:
    name = 'ml_platform_imputed_values_total{column="fare",pipeline="rides"} '
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name)]
    return float(lines[0].removeprefix(name)) if lines else 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("passengers", 2.5),
        ("passengers", float(2**53)),
        ("passengers", "3"),
        ("passengers", True),
        ("is_wet", 1.0),
        ("is_wet", "yes"),
        ("zone", 7),
        ("fare", float("inf")),
        ("booked_at", "yesterday"),
        ("booked_at", 7),
        ("ride_id", None),
    ],
)
def test_a_wrong_value_of_a_pandas_frame_is_refused_by_name(field: str, value: object) -> None:
    """As the server refuses it."""
    frame = PANDAS["None"](make_rides(2, 3, {}))
    frame[field] = pd.Series([frame[field].iloc[0], value], dtype=object)
    with pytest.raises(RequestRejected, match=f"{field} in row 1: got"):
        pandas_to_frame(frame, SIGNATURE)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_times_of_pandas_keep_their_instant(zone: str) -> None:
    """Without a zone they are UTC; nanoseconds are cut off."""
    rows = make_rides(4, 3, {"booked_at": 0.5})
    frame = PANDAS["None"](rows)
    aware = pd.to_datetime(frame["at"]).dt.tz_localize("UTC").dt.tz_convert(zone)
    frame["at"] = aware + pd.Timedelta(7, "ns")
    assert pandas_to_frame(frame, SIGNATURE)["at"].equals(rows["at"])
