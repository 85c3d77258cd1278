"""One LightGBM trained by several workers through LightGBM's own sockets, each worker on its share of the rows.

The workers agree on bins and splits, so each holds the same trees. Each has all validation rows, so all see the same
loss and stop after the same round; nothing else would keep one from waiting for another that has ended.
"""

import logging
import re
import socket
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ml_platform.training.boosting import Boosted, Boosting, Part, boost
from ml_platform.training.trainer import Watch
from ml_platform.training.workers import Workers

LOOPBACK = "127.0.0.1"
SILENT_MINUTES = 10  # a worker that hears nothing for so long from another one gives up
# Where the workers were is no part of a model: the same rows give the same text, whatever ports were free.
_ADDRESSES = (
    (re.compile(r"^\[machines: .*\]$", re.MULTILINE), "[machines: ]"),
    (re.compile(r"^\[local_listen_port: .*\]$", re.MULTILINE), "[local_listen_port: 0]"),
)


@dataclass(frozen=True)
class Shard:
    """One worker's share.

    Parameters
    ----------
    part : Part
        Its rows.
    port : int
        Where it listens.
    """

    part: Part
    port: int


def boost_over(
    workers: Workers,
    threads: int,
    boosting: Boosting,
    train: Part,
    validation: Part | None,
    watch: Watch | None = None,
) -> Boosted:
    """Run LightGBM over several workers; see `boosting.boost`.

    Parameters
    ----------
    threads : int
        What each worker computes with.
    watch : function, optional
        Told of the rounds when all of them are over.
    """
    import lightgbm as lgb

    places = workers.each(free_place, range(workers.count))
    on_one_machine = len({host for host, _ in places}) == 1
    machines = ",".join(f"{LOOPBACK if on_one_machine else host}:{port}" for host, port in places)
    together: dict[str, Any] = {
        "num_threads": threads, "tree_learner": "data", "num_machines": workers.count, "machines": machines,
        "time_out": SILENT_MINUTES,
    }  # fmt: skip
    run = partial(boost_shard, replace(boosting, params={**boosting.params, **together}), validation)
    shards = [Shard(_every(train, workers.count, first), port) for first, (_, port) in enumerate(places)]
    text, history, rounds = workers.each(run, shards)[0]
    if watch is not None:
        for number, loss in enumerate(history, 1):
            watch(number, loss)
    for pattern, plain in _ADDRESSES:
        text = pattern.sub(plain, text)
    return Boosted(lgb.Booster(model_str=text), history, rounds)


def free_place(_: int) -> tuple[str, int]:
    """Give the host that this process runs on, as others reach it, and a port that is free there."""
    with socket.socket() as listening:
        listening.bind(("", 0))
        return _own_host(), int(listening.getsockname()[1])


def boost_shard(boosting: Boosting, validation: Part | None, shard: Shard) -> tuple[str, list[float], int]:
    """Run LightGBM on a share of the rows, together with the other workers."""
    import lightgbm as lgb

    quiet = logging.getLogger("ml_platform.lightgbm")
    quiet.setLevel(logging.ERROR)  # LightGBM tells of each try to connect
    lgb.register_logger(quiet)
    together = replace(boosting, params={**boosting.params, "local_listen_port": shard.port})
    boosted = boost(together, shard.part, validation)
    boosted.booster.free_network()
    return boosted.text, boosted.history, boosted.rounds


def _every(part: Part, step: int, first: int) -> Part:
    """Give every so many rows: each share has rows of all times."""
    weights = None if part.weights is None else np.ascontiguousarray(part.weights[first::step])
    rows = np.ascontiguousarray(part.features[first::step])
    return Part(rows, np.ascontiguousarray(part.labels[first::step]), weights)


def _own_host() -> str:
    """Ask which address packets to the outside would leave from; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
        except OSError:  # a machine with no way out has only itself
            return LOOPBACK
        return str(asking.getsockname()[0])
