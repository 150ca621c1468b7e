"""Times whole processes, interleaved, by the operating system's own accounting."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One finished process: seconds on the clock, seconds of CPU, peak memory in MiB."""

    wall: float
    cpu: float
    peak_mib: float


def run_once(command: Sequence[str], *, log: str = os.devnull) -> Run:
    """Run *command* to its end. Raises RuntimeError when it fails: a wrong answer is not timed."""
    started = time.perf_counter()
    with open(log, "ab") as sink:  # noqa: PTH123
        process = subprocess.Popen(command, stdout=sink, stderr=sink)
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[0]} exited with {process.returncode}; see {log}")
    return Run(time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median and range, for people."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def machine() -> str:
    """What the figures were measured on, without naming it."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    )
