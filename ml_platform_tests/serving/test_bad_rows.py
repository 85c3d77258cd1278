"""A feature function that raises for a row of a request: that row is refused by name, and the server does not fail."""

from collections.abc import Iterator

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving.app import create_app
from ml_platform.serving.models import ModelTable
from ml_platform_tests.fakes.bundles import CODE, PIPELINE, make_bundle, make_rows, promote, to_json_rows

# A distance above 1000 is refused in Python, one below 0 by polars; a batch of 7 rows is one too many for the function.
PICKY = CODE.replace(
    "    return frame",
    """    if frame["distance"].max() and frame["distance"].max() > 1000:
        raise ValueError(f"too far: {frame['distance'].max()}")
    pl.Series([-1]).cast(pl.UInt8) if frame.height and frame["distance"].min() < 0 else None
    if frame.height == 7:
        raise KeyError("seven")
    return frame""",
)
BAD = {"too far": 1001.0, "below zero": -1.0}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    """Give a client of a server whose model has that function."""
    home = Home(tmp_path_factory.mktemp("home"))
    digest = make_bundle(home.root / "built", features__py=PICKY.encode()).digest
    ledger = SqlLedger(home.ledger_url)
    promote(ledger, 1, make_bundle(home.bundles / PIPELINE / digest, features__py=PICKY.encode()))
    with TestClient(create_app(ModelTable(home, ledger)), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize("how", BAD)
@pytest.mark.parametrize("seed", range(8))
def test_the_rows_at_fault_are_named(client: TestClient[Litestar], how: str, seed: int) -> None:
    """Wherever they stand in the batch, at most five of them; the others alone are answered."""
    rng = np.random.default_rng(seed)
    rows = to_json_rows(make_rows(8 + seed, seed))
    places = sorted(rng.choice(len(rows), int(rng.integers(1, 8)), replace=False).tolist())
    for place in places:
        rows[place]["distance"] = BAD[how]
    answer = client.post(f"/predict/{PIPELINE}", json={"rows": rows})
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, "features")
    named = [place for place in range(len(rows)) if f"features in row {place}: got " in error["message"]]
    assert named == places[:5]
    assert error["message"].endswith("; and more.") == (len(places) > 5)
    good = [row for place, row in enumerate(rows) if place not in places]
    if good and len(good) != 7:
        assert client.post(f"/predict/{PIPELINE}", json={"rows": good}).status_code == 200


def test_tensors_are_refused_alike(client: TestClient[Litestar]) -> None:
    """With the cause, which is the caller's own value."""
    row = to_json_rows(make_rows(1, 3))[0] | {"distance": 2000.0, "weight": 1.0}
    types = {"parcel_id": "INT64", "asked_at": "BYTES", "carrier": "BYTES", "distance": "FP64", "weight": "FP64"}
    inputs = [{"name": name, "shape": [1], "datatype": kind, "data": [row[name]]} for name, kind in types.items()]
    answer = client.post(f"/v2/models/{PIPELINE}/infer", json={"inputs": inputs})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("features in row 0: got ValueError: too far: 2000.0, expected values")


def test_what_no_row_alone_explains_is_a_fault_of_the_server(client: TestClient[Litestar]) -> None:
    """Nobody is blamed for what the batch as a whole does."""
    assert client.post(f"/predict/{PIPELINE}", json={"rows": to_json_rows(make_rows(7, 1))}).status_code == 500
