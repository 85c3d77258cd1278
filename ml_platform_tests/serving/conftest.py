"""A home with one promoted version, and a client of a server on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from ml_platform.contracts.home import Home
from ml_platform.ledger.store import SqlLedger
from ml_platform.serving.app import create_app
from ml_platform.serving.models import ModelTable
from ml_platform_tests.fakes.bundles import deploy, promote


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Give an empty home."""
    return Home(tmp_path)


@pytest.fixture
def ledger(home: Home) -> SqlLedger:
    """Give the home's ledger."""
    return SqlLedger(home.ledger_url)


@pytest.fixture
def table(home: Home, ledger: SqlLedger) -> ModelTable:
    """Give a table with version 1 promoted, and refreshed."""
    promote(ledger, 1, deploy(home))
    table = ModelTable(home, ledger)
    table.refresh()
    return table


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient[Litestar]]:
    """Give a client of a server with version 1, shared by the tests of a module; bodies may have 100 kB."""
    home = Home(tmp_path_factory.mktemp("home"))
    ledger = SqlLedger(home.ledger_url)
    promote(ledger, 1, deploy(home))
    with TestClient(
        create_app(ModelTable(home, ledger), body_at_most=100_000), raise_server_exceptions=False
    ) as client:
        yield client
