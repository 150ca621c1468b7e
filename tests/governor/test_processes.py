"""Real processes, one credential, one ledger file, and SIGKILL."""

from __future__ import annotations

import asyncio
import sys
from bisect import bisect_left
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT, SECONDS = 40, 0.5


async def start(path: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.governor.spender", str(path), str(LIMIT), str(SECONDS),
        stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip


async def first_line(process: asyncio.subprocess.Process) -> float:
    assert process.stdout is not None
    return float(await process.stdout.readline())


async def kill(process: asyncio.subprocess.Process) -> list[float]:
    """SIGKILL, then the times it printed; a last line cut short was a request that is on record all the same."""
    process.kill()
    out, _ = await process.communicate()
    return [float(line) for line in out.decode().splitlines(keepends=True) if line.endswith("\n")]


@pytest.mark.skipif(sys.platform == "win32", reason="asks the kernel whether a process lives")
async def test_three_processes_one_of_them_killed_and_restarted_hold_one_window(tmp_path: Path) -> None:
    """FAULTS Q08, Q09, R01: never above the window, and the killed one's share is not lost."""
    path = tmp_path / "quota.db"
    processes = [await start(path) for _ in range(3)]
    sent = [await first_line(process) for process in processes]
    began = max(sent)
    await asyncio.sleep(1.0)
    sent += await kill(processes.pop())
    processes.append(await start(path))
    sent.append(await first_line(processes[-1]))
    await asyncio.sleep(1.5)
    for process in processes:
        sent += await kill(process)

    sent.sort()
    for number, at in enumerate(sent):
        within = bisect_left(sent, at + SECONDS) - number
        assert within <= LIMIT, f"{within} requests in {SECONDS} s from {at}"
    busy = [at for at in sent if at >= began]
    assert len(busy) >= 0.75 * LIMIT * (busy[-1] - busy[0]) / SECONDS
