"""The platform's processes as data, and Dagster's home."""

from pathlib import Path

import pytest

from ml_platform.contracts.home import Home
from ml_platform.deployment.services import platform_services, prepare_dagster_home

PROJECT = Path(__file__).parents[2]


def test_every_service_has_its_port_option_and_address(tmp_path: Path) -> None:
    """And each listens on this machine alone."""
    services = platform_services(
        Home(tmp_path), dagster_port=3001, mlflow_port=5001, serving_port=8001, project=PROJECT
    )
    assert {service.name: (service.port, service.option) for service in services} == {
        "serving": (8001, "--serving-port"),
        "mlflow": (5001, "--mlflow-port"),
        "dagster": (3001, "--dagster-port"),
    }
    for service in services:
        assert service.ready_url.startswith(f"http://127.0.0.1:{service.port}/")
        assert str(service.port) in service.argv


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
