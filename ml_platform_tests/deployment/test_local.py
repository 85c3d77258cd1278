"""The local target: bundles arrive whole or not at all, scores come from exactly the version asked for."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_platform.contracts.errors import BundleDamaged, RequestRejected, ServerUnreachable, ServingError
from ml_platform.contracts.home import Home
from ml_platform.contracts.records import ModelVersion
from ml_platform.deployment import LocalTarget
from ml_platform.deployment.local import ROWS_PER_REQUEST
from ml_platform.ledger import SqlLedger
from ml_platform.registry.bundle import open_bundle
from ml_platform_tests.fakes import bundles


class FakeServer(ThreadingHTTPServer):
    """The HTTP contract of the model server; every prediction is the length of its row's JSON."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.listed: list[str] = ["3"]
        self.lists_after = 0
        self.answers_as: int | None = None
        self.digest: str | None = "d" * 64
        self.status = 200
        self.drops_rows = 0
        self.loads: list[str] = []
        self.batch_at_most = 10_000
        self.bodies: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: FakeServer  # pyright: ignore[reportIncompatibleVariableOverride] - it is only ever used by that server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the standard library's
        """Stay silent."""

    def do_GET(self) -> None:
        self.server.lists_after -= self.path == "/v2/models/flights"
        self._answer(200, {"versions": self.server.listed if self.server.lists_after < 0 else []})

    def do_POST(self) -> None:
        if self.path.startswith("/v2/"):
            self.server.loads.append(self.path)
            return self._answer(200, {})
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if len(body["rows"]) > self.server.batch_at_most:
            return self._answer(413, {})
        self.server.bodies.append(body)
        version = self.server.answers_as or int(self.path.rpartition("?version=")[2])
        scores = [float(len(json.dumps(row))) for row in body["rows"]][self.server.drops_rows :]
        answer = {"pipeline": "flights", "version": version, "digest": self.server.digest, "predictions": scores}
        return self._answer(self.server.status, answer)

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """Run the fake server."""
    with FakeServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Give a home in which nothing is yet."""
    return Home(tmp_path / "home")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """Make a bundle, some of its files in a folder."""
    return bundles.make_bundle(tmp_path / "bundle").root


@pytest.fixture
def version(bundle: Path) -> ModelVersion:
    """Give the version of that bundle."""
    digest = open_bundle(bundle).digest
    return ModelVersion(pipeline="flights", version=3, digest=digest, as_of="2013-06-01", run_id="r")


@pytest.fixture
def target(home: Home, server: FakeServer) -> LocalTarget:
    """Give a target whose server runs, on a bundle that was deployed here."""
    _deployed(home, server)
    return LocalTarget(home, server.url)


def _deployed(home: Home, server: FakeServer) -> None:
    (home.bundles / "flights" / str(server.digest)).mkdir(parents=True)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_is_deployed_whole_and_alone(
    target: LocalTarget, home: Home, version: ModelVersion, bundle: Path
) -> None:
    """Nothing of the staging is left beside it."""
    place = Path(target.deploy(version, bundle))
    assert place == home.bundles / "flights" / version.digest
    assert _files(place) == _files(bundle)
    assert not list(place.parent.glob(".*"))


def test_deploying_again_touches_nothing(target: LocalTarget, version: ModelVersion, bundle: Path) -> None:
    """A server may be reading it."""
    place = Path(target.deploy(version, bundle))
    inode = place.stat().st_ino
    assert target.deploy(version, bundle) == str(place)
    assert place.stat().st_ino == inode


@pytest.mark.parametrize("name", ["manifest.json", "model.txt", "lookups/depot.arrow"])
@pytest.mark.parametrize("content", ["damaged", None])
def test_a_damaged_place_is_replaced(
    target: LocalTarget, version: ModelVersion, bundle: Path, name: str, content: str | None
) -> None:
    """Whichever file was changed, or is missing."""
    damaged = Path(target.deploy(version, bundle)) / name
    damaged.write_text(content) if content else damaged.unlink()
    place = Path(target.deploy(version, bundle))
    assert _files(place) == _files(bundle)
    assert not list(place.parent.glob(".*"))


@pytest.mark.parametrize("name", ["manifest.json", "model.txt"])
def test_another_bundle_than_the_registered_one_is_refused(
    home: Home, version: ModelVersion, bundle: Path, name: str
) -> None:
    """Before anything is copied."""
    (bundle / name).write_text("altered")
    with pytest.raises(BundleDamaged, match=f"{name} in bundle"):
        LocalTarget(home, "http://127.0.0.1:1").deploy(version, bundle)
    assert not home.bundles.exists()


def test_rows_are_sent_as_plain_json(target: LocalTarget, server: FakeServer) -> None:
    """Instants as ISO text, missing values as null, numpy's numbers as numbers."""
    instant = datetime(2013, 6, 1, 12, tzinfo=UTC)
    row = {"at": instant, "on": date(2013, 6, 1), "n": np.int64(5), "x": float("nan"), "t": pd.NaT, "s": "a"}
    target.score("flights", [row, {"at": pd.Timestamp(instant), "x": 0.5, "none": None}], 3)
    first = {"at": "2013-06-01T12:00:00+00:00", "on": "2013-06-01", "n": 5, "x": None, "t": None, "s": "a"}
    assert server.bodies == [{"rows": [first, {"at": "2013-06-01T12:00:00+00:00", "x": 0.5, "none": None}]}]


def test_rows_beyond_the_servers_batch_are_sent_in_parts_and_keep_their_order(
    target: LocalTarget, server: FakeServer
) -> None:
    """The limit is the pipeline's own; the target learns it from the refusal."""
    server.batch_at_most = 2
    rows = [{"name": "x" * length} for length in range(5)]
    assert target.score("flights", rows, 3) == [len(json.dumps(row)) for row in rows]
    assert max(len(body["rows"]) for body in server.bodies) == 2


def test_no_request_is_larger_than_the_usual_limit(target: LocalTarget, server: FakeServer) -> None:
    """The last part is shorter."""
    assert len(target.score("flights", [{"x": 1}] * (ROWS_PER_REQUEST + 1), 3)) == ROWS_PER_REQUEST + 1
    assert [len(body["rows"]) for body in server.bodies] == [ROWS_PER_REQUEST, 1]


def test_no_rows_need_no_server(home: Home) -> None:
    """There is nothing to ask."""
    assert LocalTarget(home, "http://127.0.0.1:1").score("flights", [], 3) == []


def test_a_version_that_the_server_does_not_list_yet_is_waited_for(target: LocalTarget, server: FakeServer) -> None:
    """The server needs a moment after a promotion; it is asked once to take it up, if it has not already."""
    assert len(target.score("flights", [{"x": 1}], 3)) == 1
    assert server.loads == []
    server.lists_after = 3
    assert len(target.score("flights", [{"x": 1}], 3)) == 1
    assert server.loads == ["/v2/repository/models/flights/load"]


def test_a_version_that_is_never_listed_is_an_error(home: Home, server: FakeServer) -> None:
    """It says what the server has instead."""
    with pytest.raises(ServerUnreachable, match="got versions 3 of flights, expected version 4 within"):
        LocalTarget(home, server.url, wait_s=0.2).score("flights", [{"x": 1}], 4)


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        ({"answers_as": 2}, ServingError, "from version 2, expected success from version 3"),
        ({"status": 503}, ServingError, "got status 503"),
        ({"status": 422}, RequestRejected, "predictions"),
        ({"drops_rows": 1}, ServingError, "got 0 predictions, expected 1"),
    ],
)
def test_anything_but_scores_of_that_version_is_an_error(
    target: LocalTarget, server: FakeServer, fault: dict[str, int], error: type[Exception], message: str
) -> None:
    """No number of another version passes for one of this."""
    for name, value in fault.items():
        setattr(server, name, value)
    with pytest.raises(error, match=message):
        target.score("flights", [{"x": 1}], 3)


@pytest.mark.parametrize("digest", ["f" * 64, "", None])
def test_a_server_of_another_home_is_refused(target: LocalTarget, server: FakeServer, digest: str | None) -> None:
    """It has a version of that number too, but not this home's."""
    server.digest = digest
    with pytest.raises(ServingError, match=rf"{server.url}: got .* from bundle {digest},.*set ML_PLATFORM_SERVER"):
        target.score("flights", [{"x": 1}], 3)


@pytest.mark.slow
@pytest.mark.parametrize("is_elsewhere", [False, True])
def test_the_real_server_is_started_when_none_runs(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_elsewhere: bool
) -> None:
    """It serves what was deployed and promoted, in whichever ledger, and takes the rows as they come out of a frame."""
    ledger_url = f"sqlite:///{tmp_path / 'elsewhere.db'}" if is_elsewhere else home.ledger_url
    monkeypatch.setenv("ML_PLATFORM_LEDGER", ledger_url if is_elsewhere else "")
    built = bundles.make_bundle(tmp_path / "built")
    version = ModelVersion(
        pipeline=bundles.PIPELINE, version=1, digest=built.digest, as_of=built.manifest.as_of, run_id="r"
    )
    target = LocalTarget(home, "http://127.0.0.1:1")
    target.deploy(version, built.root)
    bundles.promote(SqlLedger(ledger_url), 1, built)
    names = [field.name for field in bundles.SIGNATURE]
    scores = target.score(bundles.PIPELINE, bundles.make_rows(250).select(names).to_dicts(), 1)
    assert len(scores) == 250
    assert all(0 < score < 1 for score in scores)
