"""A connection to a Ray cluster: the one at an address, or one started here and ended again."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ml_platform.contracts.errors import ClusterUnreachable, SpecError, WorkerLost

CONNECT_SECONDS = 10
STORE_BYTES = 256 * 2**20  # of a cluster started here; Ray spills what is more to disk


@contextmanager
def connected(address: str | None, cpus: int, at_least: int = 1) -> Iterator[Any]:
    """Give the module `ray`, connected; what this started is ended, a connection that was there already stays.

    Parameters
    ----------
    address : str or None
        `host:port` of the cluster's head, or `ray://host:port`; None starts a cluster on this machine.
    cpus : int
        Of a cluster started here.
    at_least : int
        Without so many CPUs the cluster is of no use.

    Raises
    ------
    SpecError
        If Ray is not installed.
    ClusterUnreachable
        If nothing answers at the address, or the cluster has fewer CPUs.
    """
    ray = import_engine("ray", "ray")
    is_ours = not ray.is_initialized()
    try:
        if is_ours:
            _connect(ray, address, cpus)
        _require_cpus(ray, at_least)
        yield ray
    finally:
        if is_ours:
            ray.shutdown()


def import_engine(package: str, extra: str) -> Any:
    """Import the package of an optional extra.

    Raises
    ------
    SpecError
        If it is not installed.
    """
    try:
        return import_module(package)
    except ImportError:
        raise SpecError.because(
            "training", got=f"no package {package}", expected="it installed", hint=f"pip install 'ml-platform[{extra}]'"
        ) from None


def require_answer(address: str, variable: str) -> None:
    """See that something listens at an address, before a client waits minutes for it.

    Raises
    ------
    ClusterUnreachable
        If nothing does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
            return
    except (OSError, ValueError, OverflowError) as error:
        raise ClusterUnreachable.because(
            f"cluster at {address}", got=error, expected="host:port of a cluster that answers",
            hint=f"start it, or mend ${variable}; without the variable a cluster is started here",
        ) from None  # fmt: skip


def lost(worker: str, reason: object) -> WorkerLost:
    """Give the error of a worker that died."""
    first = str(reason).strip().partition("\n")[0]
    return WorkerLost.because(
        worker, got=first or type(reason).__name__, expected="a worker that lives until its fit ends",
        hint="look into the cluster's logs; if memory ran out, run fewer fits at a time or train on fewer rows",
    )  # fmt: skip


def _connect(ray: Any, address: str | None, cpus: int) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        # "local" always starts one: without it Ray would join whatever else it finds on the machine.
        ray.init("local", num_cpus=cpus, include_dashboard=False, object_store_memory=STORE_BYTES, **quiet)
        return
    require_answer(address, "ML_PLATFORM_RAY_ADDRESS")
    try:
        ray.init(address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        first = str(error).strip().partition("\n")[0]
        hint = "is it a Ray head of the same Ray and Python version?"
        raise ClusterUnreachable.because(
            f"Ray cluster at {address}", got=first, expected="a Ray head", hint=hint
        ) from error


def _require_cpus(ray: Any, at_least: int) -> None:
    there = int(ray.cluster_resources().get("CPU", 0))
    if there < at_least:
        hint = "ask for fewer workers or threads, or grow it"
        raise ClusterUnreachable.because("Ray cluster", got=f"{there} CPUs", expected=f"at least {at_least}", hint=hint)
