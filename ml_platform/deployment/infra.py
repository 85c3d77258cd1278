"""One version measured on the real server: in a fresh process, on a free port, in a home of its own.

Nothing here judges; see `ml_platform.validation.served`. Times are taken at the client, over one kept connection on
this machine. The machine may be busy with other things, so the latency is taken in several passes and the median of
their 95th percentiles counts: one disturbed pass changes nothing.
"""

import math
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ml_platform.contracts.errors import ServerUnreachable
from ml_platform.deployment.bad_requests import BadRequest, bad_requests
from ml_platform.deployment.caller import Answer, Caller, rows_body
from ml_platform.deployment.candidate_home import candidate_home
from ml_platform.deployment.decided import other_decisions
from ml_platform.deployment.ephemeral import RunningServer, running_server, server_argv
from ml_platform.deployment.json_rows import plain_rows
from ml_platform.registry.bundle import Bundle
from ml_platform.serving.predictor import Predictor
from ml_platform.validation.served import NotServed, Served

WARM_UP, REQUESTS, PASSES = 30, 200, 3
PASS_S = 3.0  # a pass over a slow version ends after so long, but not before so many requests:
REQUESTS_AT_LEAST = 20
OK = 200


class Asked(NamedTuple):
    """Raw rows, what was predicted of them offline, and the lookups as they were known then."""

    rows: pl.DataFrame
    offline: NDArray[np.float64]
    lookups: Mapping[str, pl.DataFrame]


def measure_served(bundle: Bundle, version: int, predictor: Predictor, asked: Asked) -> Served | NotServed:
    """Serve a version and measure it.

    Parameters
    ----------
    bundle : Bundle
        What is served; need not be promoted.
    predictor : Predictor
        The bundle's own, for what it says of requests.

    Returns
    -------
    Served or NotServed
        The latter if the server does not start, or does not serve the version.
    """
    with candidate_home(bundle, version, asked.lookups) as home:
        return measure_server([*server_argv(home), "--ledger-url", home.ledger_url], predictor, asked)


def measure_server(argv: Sequence[str], predictor: Predictor, asked: Asked) -> Served | NotServed:
    """Start a server and measure what it serves of the predictor's pipeline; see `measure_served`.

    Parameters
    ----------
    argv : sequence of str
        The command, as for `ml_platform.deployment.ephemeral.running_server`.
    """
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_server(argv))
        except (ServerUnreachable, OSError) as fault:  # no port, no memory, no process: none of it the version's
            return NotServed(f"the server did not start. {fault}", is_fault_of_version=False)
        caller = stack.enter_context(Caller(server.url))
        try:
            return _measured(_Trial(server, caller, predictor), asked)
        except ServerUnreachable as fault:
            how = f"{fault} Exit code: {server.process.poll()}. {server.said()}"
            return NotServed(f"the server stopped answering. {how}", is_fault_of_version=True)


class _Trial(NamedTuple):
    server: RunningServer
    caller: Caller
    predictor: Predictor

    @property
    def path(self) -> str:
        return f"/predict/{self.predictor.manifest.pipeline}"


def _measured(trial: _Trial, asked: Asked) -> Served | NotServed:
    rows = plain_rows(asked.rows.to_dicts())
    first = trial.caller.predict(trial.path, rows_body(rows[:1]))
    cold_start_s = time.monotonic() - trial.server.started_at
    batches = [first, *_batches(trial, rows)] if first.status == OK else [first]
    if refused := [answer for answer in batches if answer.status != OK]:
        said = f"status {refused[0].status}: {refused[0].content} {trial.server.said()}".strip()
        return NotServed(f"the server does not serve the version: {said}", is_fault_of_version=True)
    numbers = "probabilities" if trial.predictor.classes else "predictions"
    served = [value for answer in batches[1:] for value in answer.content[numbers]]
    single = [rows_body([row]) for row in rows]
    _, *latencies = (_latencies(trial, single, wanted) for wanted in (WARM_UP, *[REQUESTS] * PASSES))
    memory_mb = _memory_mb(trial.server.process.pid)
    bad = list(bad_requests(trial.predictor.manifest.pipeline, rows[0], *_limits(trial.predictor)))
    return Served(
        rows=len(rows),
        largest_difference=_difference(served, asked.offline),
        cold_start_s=cold_start_s,
        p95_ms=float(np.median([np.quantile(each, 0.95) for each in latencies]) * 1000),
        requests=sum(map(len, latencies)),
        memory_mb=memory_mb,
        bad_requests=len(bad),
        not_refused=tuple(_not_refused(trial, bad, rows[0], first)),
        other_decisions=other_decisions([each.content for each in batches[1:]], trial.predictor, asked.offline),
    )


def _limits(predictor: Predictor) -> tuple[Any, int]:
    return predictor.signature, predictor.batch_at_most


def _batches(trial: _Trial, rows: Sequence[dict[str, Any]]) -> list[Answer]:
    size = trial.predictor.batch_at_most
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [trial.caller.predict(trial.path, rows_body(part)) for part in parts]


def _difference(served: Sequence[Any], offline: NDArray[np.float64]) -> float:
    values = np.asarray(served, dtype=float)
    return float(np.abs(values - offline).max()) if values.shape == offline.shape else math.inf


def _latencies(trial: _Trial, bodies: Sequence[bytes], wanted: int) -> list[float]:
    """Time requests one after the other, in seconds."""
    begun_at, timed = time.monotonic(), []
    while len(timed) < wanted and (len(timed) < REQUESTS_AT_LEAST or time.monotonic() - begun_at < PASS_S):
        sent_at = time.perf_counter()
        trial.caller.predict(trial.path, bodies[len(timed) % len(bodies)])
        timed.append(time.perf_counter() - sent_at)
    return timed


def _not_refused(trial: _Trial, bad: Sequence[BadRequest], row: dict[str, Any], expected: Answer) -> Iterator[str]:
    """Name the bad requests that were not refused, and those after which a good one is not answered as before."""
    for each in bad:
        try:
            answer = trial.caller.send(each)
        except ServerUnreachable as fault:
            yield f"{each.name} ({fault})"
            continue
        says_why = isinstance(answer.content, dict) and "error" in answer.content
        if not (400 <= answer.status < 500 and says_why):
            yield f"{each.name} (status {answer.status}{'' if says_why else ', no error in JSON'})"
    if trial.caller.predict(trial.path, rows_body([row])) != expected:
        yield "a good request after them, answered otherwise than before"


def _memory_mb(pid: int) -> float | None:
    """Give the most memory that a process had resident, in MB; where that is not kept, what it has."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        [peak] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    except (OSError, ValueError):  # not Linux
        ps = shutil.which("ps")
        command = [ps, "-o", "rss=", "-p", str(pid)]
        peak = "" if ps is None else subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - a number of our own
    return int(peak) * 1024 / 1e6 if peak.isdigit() else None
