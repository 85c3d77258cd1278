"""The platform's processes as data, and Dagster's home."""

from pathlib import Path

import pytest

from ml_platform.contracts.home import Home
from ml_platform.deployment.services import platform_services, prepare_dagster_home
from ml_platform.deployment.supervisor import Service

PROJECT = Path(__file__).parents[2]


def test_every_service_has_its_port_option_and_address(tmp_path: Path) -> None:
    """And each listens on this machine alone."""
    services = platform_services(
        Home(tmp_path), dagster_port=3001, mlflow_port=5001, serving_port=8001, project=PROJECT, inherited={}
    )
    assert {service.name: (service.port, service.option) for service in services} == {
        "serving": (8001, "--serving-port"),
        "mlflow": (5001, "--mlflow-port"),
        "dagster": (3001, "--dagster-port"),
    }
    for service in services:
        assert service.ready_url.startswith(f"http://127.0.0.1:{service.port}/")
        assert str(service.port) in service.argv


def _services(inherited: dict[str, str]) -> dict[str, Service]:
    ports = {"dagster_port": 3001, "mlflow_port": 5001, "serving_port": 8001}
    services = platform_services(Home(Path("/home")), **ports, project=PROJECT, inherited=inherited)
    return {service.name: service for service in services}


@pytest.mark.parametrize("name", ["ML_PLATFORM_LEDGER", "MLFLOW_TRACKING_URI"])
def test_a_password_stands_on_no_command_line(name: str) -> None:
    """Everybody on the machine can read those."""
    services = _services({name: "postgresql://user:secret@database/x"})
    assert len(services) == 3
    assert "secret" not in str([service.argv for service in services.values()])


def test_mlflows_page_shows_the_store_that_is_written() -> None:
    """The home's own, or the one that the environment names."""
    stores = {
        "sqlite:////home/mlflow.db": {},
        "postgresql://database/x": {"MLFLOW_TRACKING_URI": "postgresql://database/x"},
    }
    for store, inherited in stores.items():
        services = _services(inherited)
        assert services["mlflow"].env["MLFLOW_BACKEND_STORE_URI"] == store
        assert "--backend-store-uri" not in services["mlflow"].argv
        assert services["dagster"].env["ML_PLATFORM_MLFLOW_UI"] == "http://127.0.0.1:5001"


def test_waiting_threads_of_a_fit_sleep_unless_the_user_says_otherwise() -> None:
    """Runs share the processors with each other and with the server."""
    assert _services({})["dagster"].env["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in _services({"OMP_WAIT_POLICY": "ACTIVE"})["dagster"].env


@pytest.mark.parametrize(
    ("inherited", "page"), [({}, "https://mlflow.example"), ({"ML_PLATFORM_MLFLOW_UI": "https://a"}, "https://a")]
)
def test_an_mlflow_server_elsewhere_has_its_own_page(inherited: dict[str, str], page: str) -> None:
    """Ours would show an empty store; links lead there, without the password."""
    services = _services({"MLFLOW_TRACKING_URI": "https://user:secret@mlflow.example", **inherited})
    assert sorted(services) == ["dagster", "serving"]
    assert services["dagster"].env["ML_PLATFORM_MLFLOW_UI"] == page


def test_a_configured_page_of_our_own_mlflow_is_kept() -> None:
    """It may stand behind a proxy."""
    services = _services({"ML_PLATFORM_MLFLOW_UI": "https://mlflow.example"})
    assert services["mlflow"].url == "http://127.0.0.1:5001"
    assert services["dagster"].env["ML_PLATFORM_MLFLOW_UI"] == "https://mlflow.example"


@pytest.mark.parametrize("before", [None, "telemetry: {enabled: true}\n"])
def test_dagsters_home_gets_the_projects_settings(tmp_path: Path, before: str | None) -> None:
    """Where they are missing or different."""
    home = Home(tmp_path / "home")
    if before:
        home.dagster.mkdir(parents=True)
        (home.dagster / "dagster.yaml").write_text(before)
    prepare_dagster_home(home, PROJECT)
    assert (home.dagster / "dagster.yaml").read_text() == (PROJECT / "dagster.yaml").read_text()


def test_settings_that_are_right_are_left_alone(tmp_path: Path) -> None:
    """A running Dagster may be reading them."""
    home = Home(tmp_path / "home")
    prepare_dagster_home(home, PROJECT)
    (home.dagster / "dagster.yaml").chmod(0o444)
    written_at = (home.dagster / "dagster.yaml").stat().st_mtime_ns
    prepare_dagster_home(home, PROJECT)
    assert (home.dagster / "dagster.yaml").stat().st_mtime_ns == written_at
