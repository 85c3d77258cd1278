"""The application around the routes: its metrics, its own faults, its page."""

import logging

import pytest
from litestar.testing import TestClient

from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving.app import create_app
from ml_platform.serving.models import LoadedModel, ModelTable
from ml_platform_tests.fakes.bundles import make_rows, to_json_rows

ROWS = to_json_rows(make_rows(3, 5))


def test_metrics_count_requests_rows_and_unseen(table: ModelTable) -> None:
    """By pipeline, route and status; names that a caller made up become no labels."""
    with TestClient(create_app(table)) as client:
        client.post("/predict/parcels", json={"rows": [ROWS[0] | {"carrier": "dog"}, *ROWS]})
        client.post("/predict/parcels", json={"rows": []})
        for name in ("made-up-1", "made-up-2"):
            client.post(f"/predict/{name}", json={"rows": ROWS})
            client.get(f"/v2/models/{name}")
            client.get(f"/{name}")
        text = client.get("/metrics").text
    for line in (
        'ml_platform_requests_total{pipeline="parcels",route="/predict/{pipeline}",status="200"} 1.0',
        'ml_platform_requests_total{pipeline="parcels",route="/predict/{pipeline}",status="422"} 1.0',
        'ml_platform_requests_total{pipeline="",route="/predict/{pipeline}",status="404"} 2.0',
        'ml_platform_rows_total{pipeline="parcels"} 4.0',
        'ml_platform_unseen_categories_total{column="carrier",pipeline="parcels"} 1.0',
        'ml_platform_request_latency_seconds_count{pipeline="parcels",route="/predict/{pipeline}"} 2.0',
        'ml_platform_loaded_version{pipeline="parcels"} 1.0',
    ):
        assert line in text
    assert "made-up" not in text


def test_two_applications_count_apart(home: Home, ledger: SqlLedger) -> None:
    """Each has a registry of its own."""
    for _ in range(2):
        with TestClient(create_app(ModelTable(home, ledger))) as client:
            client.get("/v2")
            assert 'route="/v2",status="200"} 1.0' in client.get("/metrics").text


def test_fault_of_the_server_shows_no_data(
    table: ModelTable, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The caller gets a 500, the log the type and the place, neither gets the row."""
    secret = f"row {ROWS[0]['distance']}"

    def fail(*_: object) -> None:
        raise ZeroDivisionError(secret)

    monkeypatch.setattr(LoadedModel, "score", fail)
    with TestClient(create_app(table), raise_server_exceptions=False) as client, caplog.at_level(logging.ERROR):
        answer = client.post("/predict/parcels", json={"rows": ROWS})
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "The server failed."
    assert "ZeroDivisionError while answering /predict/{pipeline}" in caplog.text
    assert "in score_rows" in caplog.text
    assert secret not in caplog.text + answer.text


def test_page_describes_the_bodies(table: ModelTable) -> None:
    """The OpenAPI document has both requests."""
    with TestClient(create_app(table)) as client:
        paths = client.get("/schema/openapi.json").json()["paths"]
        assert client.get("/schema").status_code == 200
    for path, field in (("/predict/{pipeline}", "rows"), ("/v2/models/{name}/infer", "inputs")):
        schema = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert schema["required"] == [field]


def test_refresh_runs_while_serving(table: ModelTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread lives as long as the application."""
    monkeypatch.setattr("ml_platform.serving.models.REFRESH_EVERY_S", 0.01)
    with TestClient(create_app(table)) as client:
        thread = table._thread
        assert thread is not None
        assert thread.is_alive()
        assert client.get("/v2/health/ready").status_code == 200
    assert not thread.is_alive()
