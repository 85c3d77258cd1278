"""`POST /predict/{pipeline}`: good rows score as offline, bad ones are refused with the field named, never a 500."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml_platform.contracts.errors import RequestRejected
from ml_platform.registry.bundle import open_bundle
from ml_platform.serving.predictor import Predictor
from ml_platform.serving.requests import rows_to_frame
from ml_platform_tests.fakes.bundles import PLAN, SIGNATURE, make_bundle, make_lookups, make_rows, to_json_rows

Client = TestClient[Litestar]
GOOD = to_json_rows(make_rows(1, 5))[0] | {"weight": 2.5}
JSON = {"content-type": "application/json"}


def _post(client: Client, row: dict[str, Any], **headers: str) -> Any:
    return client.post("/predict/parcels", content=json.dumps({"rows": [GOOD, row]}), headers=JSON | headers)


def test_online_is_offline(client: Client, tmp_path: Path) -> None:
    """A batch and single rows over HTTP give the predictions of the whole batch computed offline."""
    rows = make_rows(150, 3)
    predictor = Predictor.load(make_bundle(tmp_path / "b"))
    offline = predictor.predict(PLAN.transform(rows, make_lookups()))
    asked = to_json_rows(rows)
    batch = client.post("/predict/parcels", json={"rows": asked}).json()
    single = [client.post("/predict/parcels", json={"rows": [row]}).json()["predictions"][0] for row in asked[:20]]
    np.testing.assert_allclose(batch["predictions"], offline, rtol=0, atol=1e-12)
    np.testing.assert_allclose(single, offline[:20], rtol=0, atol=1e-12)
    assert (batch["pipeline"], batch["version"], batch["as_of"]) == ("parcels", 1, "2013-01-21")
    assert batch["digest"] == open_bundle(tmp_path / "b").digest


def test_offset_of_a_time_does_not_matter(client: Client) -> None:
    """The same instant in another zone is the same row."""
    here, there = (GOOD | {"asked_at": at} for at in ("2013-01-05T23:30:00Z", "2013-01-06T05:00:00+05:30"))
    predictions = client.post("/predict/parcels", json={"rows": [here, there]}).json()["predictions"]
    assert predictions[0] == predictions[1]


@pytest.mark.parametrize("change", [{"carrier": "dog"}, {"carrier": ""}, {"carrier": "\u0000"}])
def test_unseen_category_is_served_and_counted(client: Client, change: dict[str, Any]) -> None:
    """A carrier that training had not seen is no fault of the caller."""
    answer = _post(client, GOOD | change)
    assert answer.status_code == 200
    assert answer.json()["unseen"] == {"carrier": 1}


@pytest.mark.parametrize(
    "change",
    [{"weight": None}, {"distance": 3}, {"parcel_id": -(2**63)}, {"asked_at": "9999-12-31T23:59:59Z"}],
)
def test_odd_but_right_rows_are_served(client: Client, change: dict[str, Any]) -> None:
    """Null where it may be, an integer for a number, the ends of the ranges."""
    assert _post(client, GOOD | change).status_code == 200


@pytest.mark.parametrize(
    ("field", "value", "got"),
    [
        ("carrier", None, "null"),
        ("carrier", 7, "7"),
        ("carrier", ["ant"], "['ant']"),
        ("carrier", {"a": 1}, "{'a': 1}"),
        ("distance", "12", "'12'"),
        ("distance", True, "True"),
        ("distance", None, "null"),
        ("distance", float("nan"), "nan"),
        ("distance", float("inf"), "inf"),
        ("weight", float("-inf"), "-inf"),
        ("distance", "NaN", "'NaN'"),
        ("distance", 10**30, "1000000000000000000000000000000"),
        ("distance", "x" * 1000, "a long string"),
        ("parcel_id", 1.5, "1.5"),
        ("parcel_id", 2.0**53, "9007199254740992.0"),
        ("parcel_id", True, "True"),
        ("parcel_id", "1", "'1'"),
        ("parcel_id", 2**63, "9223372036854775808"),
        ("asked_at", "2013-01-05T12:00:00", "'2013-01-05T12:00:00'"),
        ("asked_at", "yesterday", "'yesterday'"),
        ("asked_at", "2013-02-30T00:00:00Z", "'2013-02-30T00:00:00Z'"),
        ("asked_at", "0001-01-01T00:00:00+14:00", "'0001-01-01T00:00:00+14:00'"),
        ("asked_at", 1357387200, "1357387200"),
        ("asked_at", "", "''"),
    ],
)
def test_wrong_value_is_refused(client: Client, field: str, value: object, got: str) -> None:
    """Field, row, what was got and what was expected are told."""
    answer = _post(client, GOOD | {field: value})
    error = answer.json()["error"]
    assert (answer.status_code, error["field"]) == (422, field)
    assert error["message"].startswith(f"{field} in row 1: got {got}, expected ")


def test_missing_and_unknown_fields_are_refused(client: Client) -> None:
    """Every field must come, also one that may be null, and none besides."""
    for field in GOOD:
        answer = _post(client, {name: value for name, value in GOOD.items() if name != field})
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
        assert "got no such field" in answer.json()["error"]["message"]
    answer = _post(client, GOOD | {"is_late": True})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "is_late")


def test_at_most_five_faults_are_told(client: Client) -> None:
    """A wrong batch does not come back as a book."""
    answer = client.post("/predict/parcels", json={"rows": [GOOD | {"carrier": row} for row in range(150)]})
    message = answer.json()["error"]["message"]
    assert message.count("carrier in row") == 5
    assert message.endswith("; and more.")


@pytest.mark.parametrize("row", [{"x" * 90_000: 1}, {f"{at}": 1 for at in range(7_000)}])
def test_unknown_fields_do_not_come_back_as_a_book(client: Client, row: dict[str, Any]) -> None:
    """Neither a long name nor many names; beside the rows as in them."""
    within = client.post("/predict/parcels", json={"rows": [row]})
    beside = client.post("/predict/parcels", json={"rows": [GOOD], **row})
    assert (within.status_code, beside.status_code) == (422, 400)
    assert max(len(within.content), len(beside.content)) < 1500


def test_nothing_is_looked_at_beyond_the_examples() -> None:
    """A row of millions of unknown fields costs no more than one of six."""
    names = iter([f"{at}" for at in range(100)])
    with pytest.raises(RequestRejected, match="and more"):
        rows_to_frame([cast(Mapping[str, Any], names)], SIGNATURE, 1)
    assert next(names) == "6"


@pytest.mark.parametrize(
    ("content", "status", "field"),
    [
        (b"", 400, "body"),
        (b"{", 400, "body"),
        (b"\xff", 400, "body"),
        (b'{"rows": [{"carrier": "\xed\xa0\x80"}]}', 400, "body"),
        (b'{"rows": [{"carrier": "\\ud800"}]}', 400, "body"),
        (b"[" * 50_000, 400, "body"),
        (b'{"rows": [{"distance": 1' + b"0" * 5000 + b"}]}", 400, "body"),
        (b"[]", 400, "body"),
        (b"null", 400, "body"),
        (b"{}", 400, "rows"),
        (b'{"rows": null}', 400, "rows"),
        (b'{"rows": {}}', 400, "rows"),
        (b'{"rows": [1]}', 400, "rows[0]"),
        (b'{"rows": [[]]}', 400, "rows[0]"),
        (b'{"rows": [], "mode": 1}', 400, "mode"),
        (b'{"rows": []}', 422, "rows"),
        (b'{"rows": [{}]}', 422, "parcel_id"),
        (b'{"rows": [{"": 1}]}', 422, ""),
        (b'{"rows": [' + b"{}," * 200 + b"{}]}", 413, "rows"),
        (b'{"rows": [{"carrier": "' + b"x" * 100_000 + b'"}]}', 413, None),
    ],
)
def test_wrong_body_is_refused(client: Client, content: bytes, status: int, field: str | None) -> None:
    """Whatever bytes come, the answer is a 4xx that names the place."""
    answer = client.post("/predict/parcels", content=content, headers=JSON)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


def test_body_without_length_is_limited_too(client: Client) -> None:
    """A body sent in chunks cannot pass the limit."""
    answer = client.post("/predict/parcels", content=(b" " * 10_000 for _ in range(20)), headers=JSON)
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_other_content_type_is_refused(client: Client, kind: str) -> None:
    """Only JSON is read; a charset beside it is fine."""
    answer = _post(client, GOOD, **{"content-type": kind})
    assert (answer.status_code, answer.json()["error"]["field"]) == (415, "content-type")
    assert _post(client, GOOD, **{"content-type": "application/json; charset=utf-8"}).status_code == 200


@pytest.mark.parametrize("version", ["x", "-1", "1.0", "", "²", "9" * 30])
def test_version_that_is_no_number_is_refused(client: Client, version: str) -> None:
    """It is named as the field at fault."""
    answer = client.post("/predict/parcels", params={"version": version}, json={"rows": [GOOD]})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "version")


def test_unknown_pipeline_version_and_path_are_told_apart(client: Client) -> None:
    """What is loaded is listed."""
    unknown = client.post("/predict/letters", json={"rows": [GOOD]})
    assert (unknown.status_code, unknown.json()["error"]["field"]) == (404, "pipeline")
    other = client.post("/predict/parcels?version=2", json={"rows": [GOOD]})
    assert (other.status_code, other.json()["error"]["field"]) == (404, "version")
    assert "expected one that is loaded: 1" in other.json()["error"]["message"]
    assert client.post("/predict/parcels?version=1", json={"rows": [GOOD]}).status_code == 200
    assert client.get("/predict/parcels").status_code == 405
    assert client.get("/nowhere").status_code == 404
