"""The model server on this machine as a target: bundles in a folder that the server reads, scores over its HTTP API.

Deploying copies beside and moves into place, so a server never sees half a bundle. Scoring uses the server that runs,
or, when none does, the same server started for this one call; an answer counts only if a bundle deployed here gave it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx

from ml_platform.contracts.errors import BundleDamaged, RequestRejected, ServerUnreachable, ServingError
from ml_platform.contracts.home import Home
from ml_platform.contracts.ports import Predictions
from ml_platform.contracts.records import ModelVersion
from ml_platform.deployment.ephemeral import ephemeral_server, server_argv
from ml_platform.deployment.json_rows import plain_rows
from ml_platform.registry.bundle import copy_bundle, open_bundle

POLL_S = 0.1
TIMEOUT_S = 60.0
ROWS_PER_REQUEST = 1000


class LocalTarget:
    """`contracts.ports.Target` on this machine.

    Parameters
    ----------
    home : Home
        Bundles are deployed under `home.bundles`.
    url : str
        Where the model server is expected, such as `http://127.0.0.1:8000`.
    wait_s : float
        How long a server may take to list a version that was just deployed, in seconds.
    """

    def __init__(self, home: Home, url: str, *, wait_s: float = 15.0) -> None:
        self._home = home
        self._url = url.rstrip("/")
        self._wait_s = wait_s

    def deployed_bundle(self, pipeline: str, digest: str) -> Path | None:
        """Return the folder of a deployed bundle; None if it is not deployed, or damaged."""
        try:
            return open_bundle(self._home.bundles / pipeline / digest, digest).root
        except BundleDamaged:
            return None

    def deploy(self, version: ModelVersion, bundle: Path) -> str:
        """Copy the bundle to where servers find it; gives its folder. A sound one is left, a damaged one replaced.

        Raises
        ------
        BundleDamaged
            If the bundle is not the one that was registered.
        """
        place = self._home.bundles / version.pipeline / version.digest
        return str(copy_bundle(open_bundle(bundle, version.digest), place).root)

    def score(self, pipeline: str, rows: Sequence[Mapping[str, Any]], version: int) -> Predictions:
        """Score raw rows over HTTP with exactly this version; of several classes gives each one's probability.

        Raises
        ------
        ServerUnreachable
            If no server can be started, or none lists the version in time.
        ServingError
            If the answer is not from this version, or not from a bundle that was deployed to this home.
        RequestRejected
            If the server does not accept the rows.
        """
        if not rows:
            return []
        plain = plain_rows(rows)
        parts = [plain[start : start + ROWS_PER_REQUEST] for start in range(0, len(plain), ROWS_PER_REQUEST)]
        with self._server() as client:
            self._wait_for(client, pipeline, version)
            scores = [score for part in parts for score in self._predict(client, pipeline, version, part)]
        if len(scores) != len(rows):
            raise _wrong_answer(pipeline, got=f"{len(scores)} predictions", expected=f"{len(rows)}, one for each row")
        return scores

    @contextmanager
    def _server(self) -> Iterator[httpx.Client]:
        with _client(self._url) as client:
            if _answers(client):
                yield client
                return
        with ephemeral_server(server_argv(self._home)) as url, _client(url) as client:
            yield client

    def _wait_for(self, client: httpx.Client, pipeline: str, version: int) -> None:
        if str(version) not in _versions(client, pipeline):
            _ask_to_load(client, pipeline)
        deadline = time.monotonic() + self._wait_s
        while str(version) not in (listed := _versions(client, pipeline)):
            if time.monotonic() > deadline:
                raise ServerUnreachable.because(
                    f"model server at {client.base_url}",
                    got=f"versions {', '.join(listed) or 'none'} of {pipeline}",
                    expected=f"version {version} within {self._wait_s:g} s",
                    hint="promote the version first, and let the server read the same home folder.",
                )
            time.sleep(POLL_S)

    def _predict(self, client: httpx.Client, pipeline: str, version: int, rows: list[dict[str, Any]]) -> list[Any]:
        response = _post(client, pipeline, version, rows)
        if response.status_code == httpx.codes.REQUEST_ENTITY_TOO_LARGE and len(rows) > 1:
            # The pipeline allows smaller batches than ours; only its server knows.
            halves = rows[: len(rows) // 2], rows[len(rows) // 2 :]
            return [score for half in halves for score in self._predict(client, pipeline, version, half)]
        if response.is_client_error:
            raise RequestRejected(f"{client.base_url}: {response.text}", status=response.status_code)
        answer = response.json() if response.is_success else {}
        if answer.get("version") != version:
            got = f"status {response.status_code} from version {answer.get('version')}"
            raise _wrong_answer(pipeline, got=got, expected=f"success from version {version}")
        self._check_ours(client, pipeline, answer.get("digest"))
        return answer.get("probabilities", answer["predictions"])

    def _check_ours(self, client: httpx.Client, pipeline: str, digest: object) -> None:
        """Refuse a server of another home: version numbers are equal everywhere, digests are not."""
        place = self._home.bundles / pipeline
        if digest not in [bundle.name for bundle in place.glob("*")]:
            raise ServingError.because(
                f"model server at {client.base_url}",
                got=f"an answer of {pipeline} from bundle {str(digest)[:64]}",
                expected=f"one from a bundle in {place}",
                hint="another home's server has this address; set ML_PLATFORM_SERVER to your own.",
            )


def _client(url: str) -> httpx.Client:
    # This machine is never behind its own proxy.
    return httpx.Client(base_url=url, timeout=TIMEOUT_S, trust_env=False)


def _answers(client: httpx.Client) -> bool:
    try:
        client.get("/v2/health/ready")
    except httpx.TransportError:
        return False
    return True


def _versions(client: httpx.Client, pipeline: str) -> list[str]:
    try:
        response = client.get(f"/v2/models/{pipeline}")
    except httpx.TransportError:
        return []
    return response.json().get("versions", []) if response.is_success else []


def _ask_to_load(client: httpx.Client, pipeline: str) -> None:
    """Spare the wait for the server's own refresh; a server that cannot take it up now will at its next one."""
    with suppress(httpx.TransportError):
        client.post(f"/v2/repository/models/{pipeline}/load")


def _post(client: httpx.Client, pipeline: str, version: int, rows: list[dict[str, Any]]) -> httpx.Response:
    try:
        return client.post(f"/predict/{pipeline}", params={"version": version}, json={"rows": rows})
    except httpx.TransportError as fault:
        raise ServerUnreachable.because(
            f"model server at {client.base_url}", got=fault, expected="an answer", hint="see the server's log."
        ) from fault


def _wrong_answer(pipeline: str, *, got: str, expected: str) -> ServingError:
    return ServingError.because(f"prediction of {pipeline}", got=got, expected=expected, hint="see the server's log.")
