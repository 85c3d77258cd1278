"""The processors of this process: by quota, affinity and what it was told; and the threads that then really run."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_platform.scoring import processors
from ml_platform.scoring.processors import available_processors, computing_with, processor_quota, threads_here
from ml_platform.training.executor import LocalExecutor, results

PERIOD = 100_000


def _write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000", "cpu.max": "max 100000"}, 2.0),
        ("0::/a/b\n", {"a/b/cpu.max": "50000 100000", "a/cpu.max": "200000 100000"}, 0.5),
        ("0::/not/seen/from/here\n", {"cpu.max": "300000 100000"}, 3.0),
        ("0::/\n", {}, None),
        ("0::/\n", {"cpu.max": "what is this"}, None),
        ("", {"cpu.max": "100000 100000"}, None),
        (
            "4:memory:/\n3:cpu,cpuacct:/a\n0::/\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "250000\n", "cpu,cpuacct/a/cpu.cfs_period_us": "100000\n"},
            2.5,
        ),
        (
            "1:cpu,cpuacct:/not/seen\n",
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"},
            2.0,
        ),
        ("1:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("3:cpuset:/\n", {"cpuset/cpu.cfs_quota_us": "1", "cpuset/cpu.cfs_period_us": "1"}, None),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, groups: str, files: dict[str, str], quota: float | None) -> None:
    """Of both versions of control groups, of the group and of all that it lies in."""
    assert processor_quota(groups, _write(tmp_path, files)) == quota


@given(quotas=st.lists(st.none() | st.integers(1_000, 3_200_000), min_size=1, max_size=6))
def test_any_nesting_gives_the_least(tmp_path_factory: pytest.TempPathFactory, quotas: list[int | None]) -> None:
    root, path = tmp_path_factory.mktemp("cgroup"), ""
    for depth, quota in enumerate(quotas):
        path += "" if depth == 0 else f"/g{depth}"
        _write(root, {f"{path.lstrip('/') or '.'}/cpu.max": f"{'max' if quota is None else quota} {PERIOD}"})
    known = [quota / PERIOD for quota in quotas if quota is not None]
    assert processor_quota(f"0::{path or '/'}\n", root) == (min(known) if known else None)


@pytest.mark.parametrize(("quota", "expected"), [("max", 16), ("50000", 1), ("399999", 3), ("9900000", 16)])
def test_quota_and_affinity_both_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    """A part of a processor is one thread, since there is no less."""
    _write(tmp_path, {"own": "0::/", "groups/cpu.max": f"{quota} {PERIOD}"})
    monkeypatch.setattr(processors, "OWN_GROUPS", tmp_path / "own")
    monkeypatch.setattr(processors, "CONTROL_GROUPS", tmp_path / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert available_processors() == expected


@given(
    cpus=st.integers(1, 64), limits=st.lists(st.none() | st.integers(1, 64), max_size=3),
    asked=st.integers(0, 64), at_a_time=st.integers(1, 8),
)  # fmt: skip
def test_threads_are_the_least_of_all_limits(cpus: int, limits: list[int | None], asked: int, at_a_time: int) -> None:
    """At most eight where nothing says more; never none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(processors, "available_processors", lambda: cpus)
        threads = _nested(limits, asked, at_a_time)
    known = [limit for limit in limits if limit is not None] or [8]
    assert threads == min(max(1, cpus // at_a_time), *known, *([asked] if asked else []))


def _nested(limits: list[int | None], asked: int, at_a_time: int) -> int:
    if not limits:
        return threads_here(asked, at_a_time)
    with computing_with(limits[0]):
        return _nested(limits[1:], asked, at_a_time)


def test_a_limit_holds_in_the_threads_of_an_executor() -> None:
    """Python hands no context to a thread by itself."""
    with computing_with(1):
        assert results(LocalExecutor(2).map(lambda _: threads_here(), range(4))) == [1] * 4
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(threads_here).result() == min(available_processors(), 8)


# Prints how many threads the process has in the last round of a fit, as Linux counts them.
_FIT = """
import os, sys
{before}
from ml_platform.contracts.spec import PipelineSpec
from ml_platform.contracts.spec.models import {kind}
from ml_platform.contracts.spec import Training
from ml_platform.orchestration.executing import limited
from ml_platform.training.fitting import fit_model
from ml_platform_tests.training.rows import COLUMNS, binary_rows
seen = []
def watch(round_number, loss):
    seen.append(int([line.split()[1] for line in open("/proc/self/status") if line.startswith("Threads:")][0]))
model = {kind}(kind="{word}", rounds=5, patience=5, params={params})
fit = lambda rows: fit_model(rows, COLUMNS, model, "binary", watch)
limited(Training({training}), fit)(binary_rows())
print(seen[-1])
"""
KINDS = {"lightgbm": ("LightGBMModel", "num_threads"), "xgboost": ("XGBoostModel", "nthread")}
ALONE = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"


def _threads(word: str, training: str = "", before: str = "", params: str = "{}", **env: str) -> int:
    """Fit in a process of its own, and return how many threads it had."""
    kind, name = KINDS[word]
    text = _FIT.format(kind=kind, word=word, training=training, before=before, params=params.replace("N", f"'{name}'"))
    variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    variables |= {"POLARS_MAX_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", **env}
    ran = subprocess.run([sys.executable, "-c", text], env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return int(ran.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
@pytest.mark.skipif(available_processors() < 2, reason="one processor has one thread anyway")
@pytest.mark.parametrize("word", KINDS)
def test_a_fit_runs_with_no_more_threads_than_it_was_given(word: str) -> None:
    """By the spec, by the environment, by the affinity; the parameters may lower it, and not raise it."""
    if word == "xgboost":
        pytest.importorskip("xgboost")
    free, alone = _threads(word), _threads(word, training="threads=1")
    assert free - alone == min(available_processors(), 8) - 1
    assert _threads(word, OMP_NUM_THREADS="1") == alone
    assert _threads(word, before=ALONE) == _threads(word, before=ALONE, training="threads=1")
    assert _threads(word, params="{N: 1}") == alone
    assert _threads(word, training="threads=1", params="{N: 2}") == alone
