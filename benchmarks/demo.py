"""The demo's time and its peak memory in all processes together.

Run with `python -m benchmarks.demo`. Memory is the proportional set size (Linux; elsewhere the resident set, counting
shared pages once for each process), sampled twice a second over the whole tree of processes.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

SAMPLE_S = 0.5
GIB = 2**30


def main() -> None:
    """Run the demo and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        began, peak = time.perf_counter(), 0
        command = [sys.executable, "-m", "ml_platform.cli", "demo", "--home", str(Path(folder) / "demo")]
        demo = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while demo.poll() is None:
            peak = max(peak, _memory(demo.pid))
            time.sleep(SAMPLE_S)
        seconds = time.perf_counter() - began
    print(f"demo  {seconds:.0f} s, peak {peak / GIB:.2f} GiB in all processes, exit status {demo.returncode}")


def _memory(pid: int) -> int:
    total = 0
    with suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                used = process.memory_full_info()
                total += getattr(used, "pss", used.rss)
    return total


if __name__ == "__main__":
    main()
