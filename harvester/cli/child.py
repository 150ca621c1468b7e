"""A sandbox as a process of its own, so that server and client each have a core, as in real life."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from harvester.cli.sandbox import SandboxReady
from harvester.errors import GiveUpError

START_SECONDS = 60.0  # to begin listening, on a slow machine
STOP_SECONDS = 1.0  # to end after SIGTERM; while it makes up data it does not hear it, and it has nothing to lose


@asynccontextmanager
async def sandbox_process(arguments: Sequence[str]) -> AsyncIterator[SandboxReady]:
    """Run ``harvester sandbox`` with *arguments* until the block ends.

    It is in a session of its own: Ctrl-C must reach the harvest, not the server it is still talking to. If this
    process is killed, the child ends by itself.

    Raises:
        GiveUpError: it did not start; what it had to say is on standard error.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # the current directory may hold files that are named like modules
        "-m",
        "harvester",
        "sandbox",
        f"--follow-parent={os.getpid()}",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield await _ready(process)
    finally:
        await _end(process)


async def _ready(process: asyncio.subprocess.Process) -> SandboxReady:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    try:
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
    except TimeoutError as exc:
        raise GiveUpError(f"the sandbox did not start within {START_SECONDS:.0f} seconds") from exc
    try:
        return msgspec.json.decode(line, type=SandboxReady)
    except msgspec.DecodeError as exc:
        raise GiveUpError("the sandbox did not start; its own message is above") from exc


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
