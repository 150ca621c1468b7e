"""Times whole processes, interleaved, by the operating system's own accounting."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """One finished process: seconds on the clock, seconds of CPU, peak memory in MiB."""

    wall: float
    cpu: float
    peak_mib: float


# The peak of a child counts that of the process it was forked from, so the command's parent is a small one.
_PARENT = """
import json, os, subprocess, sys, time
with open(sys.argv[1], "ab") as sink:
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:], stdout=sink, stderr=sink)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
told = os.waitstatus_to_exitcode(status), wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
print(json.dumps(told))
"""


def run_once(command: Sequence[str], *, log: str = os.devnull) -> Run:
    """Run *command* to its end. Raises RuntimeError when it fails: a wrong answer is not timed."""
    parent = (sys.executable, "-I", "-S", "-c", _PARENT, log, *command)
    told = subprocess.run(parent, stdout=subprocess.PIPE, check=True)
    code, wall, cpu, peak = json.loads(told.stdout)
    if code:
        raise RuntimeError(f"{command[0]} exited with {code}; see {log}")
    return Run(wall, cpu, peak)


def spread(values: Sequence[float], digits: int = 0) -> str:
    """Median and range, for people."""
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def machine() -> str:
    """What the figures were measured on, without naming it."""
    return (
        f"{os.cpu_count()} cores, {platform.machine()}, {platform.python_implementation()} {platform.python_version()}"
    )
