"""How many threads a fit or a large prediction computes with: no more than this process was given of the machine.

More threads than processors are not a little slower but twenty times: each round waits for a thread that is not
running. Environment variables are read by whoever starts the work, and handed over with `computing_with`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

AT_MOST = 8  # more bring little on rows of a size that one machine fits
CONTROL_GROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")
_GIVEN: ContextVar[int | None] = ContextVar("given", default=None)


def available_processors() -> int:
    """Return how many processors this process may use: by its affinity, and by the quota of its control groups."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    lines = OWN_GROUPS.read_text(encoding="utf-8") if OWN_GROUPS.exists() else ""
    quota = processor_quota(lines, CONTROL_GROUPS)
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def processor_quota(own_groups: str, root: Path) -> float | None:
    """Return the smallest quota of processors that control groups set, None without any.

    Parameters
    ----------
    own_groups : str
        Content of `/proc/self/cgroup`: a line `id:controllers:path` for each hierarchy.
    root : Path
        Where the hierarchies are mounted.

    Notes
    -----
    Source: Linux, Documentation/admin-guide/cgroup-v2.rst, `cpu.max`; scheduler/sched-bwc.rst, `cpu.cfs_quota_us`.
    """
    quotas: list[float] = []
    for line in own_groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += _quotas_above(root, path, _read_v2)
        elif "cpu" in controllers.split(","):
            mounts = [mount for name in (controllers, "cpu") if (mount := root / name).is_dir()]
            quotas += _quotas_above(mounts[0], path, _read_v1) if mounts else []
    return min(quotas, default=None)


@contextmanager
def computing_with(threads: int | None) -> Iterator[None]:
    """Let work compute with at most so many threads, for as long as the context lasts; None changes nothing."""
    given = _GIVEN.get()
    token = _GIVEN.set(given if threads is None else threads if given is None else min(given, threads))
    try:
        yield
    finally:
        _GIVEN.reset(token)


def threads_here(asked: int = 0, at_a_time: int = 1) -> int:
    """Return with how many threads to compute in this context.

    Parameters
    ----------
    asked : int
        No more than these; 0 for as many as there are.
    at_a_time : int
        How many pieces of work share the processors.
    """
    share = max(1, available_processors() // at_a_time)
    return min(share, _GIVEN.get() or AT_MOST, asked if asked > 0 else share)


def _quotas_above(mount: Path, path: str, read: Callable[[Path], float | None]) -> list[float]:
    """Read the quota of a group and of all that it lies in; a container may see none but the outermost."""
    group = mount / path.lstrip("/")
    places = [each for each in (group, *group.parents) if each == mount or mount in each.parents]
    return [quota for place in places if (quota := read(place)) is not None]


def _read_v2(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def _read_v1(group: Path) -> float | None:
    quota, period = _read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None  # -1: none


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""  # a group that this process does not see sets no quota that it could know
