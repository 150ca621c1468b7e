"""SIGINT, SIGTERM and SIGHUP: the first asks the run to stop where it is safe, the second ends it at once (FAULTS R02).

Handlers are installed with ``signal.signal``, not on the loop: they must work while the loop is blocked, on a full
pipe or a slow disk. Ending at once is safe at any time, because what is committed is on disk.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import anyio

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE = 9.0  # seconds from the first signal to the end of the process, whatever it is doing; promised are 10
_SHOW_CURSOR = b"\x1b[?25h"  # a live display hides it
STOPPING_RUN = "Stopping: what is being committed is finished first. The same signal again stops at once."
_TOO_LONG = b"\nStopped without waiting any longer. What was committed is safe; run the same command again to go on.\n"


class Stopper:
    """Knows which signal came, and tells who waits."""

    def __init__(self, stop: anyio.Event, loop: asyncio.AbstractEventLoop, announcement: str) -> None:
        self.received: int | None = None
        self.on_first: list[Callable[[], None]] = []  # called in the handler: must not block
        self._stop = stop
        self._loop = loop
        self._announcement = announcement

    @property
    def exit_status(self) -> int | None:
        """128 + the signal; None when none came."""
        return None if self.received is None else 128 + self.received

    def handle(self, number: int, frame: FrameType | None = None) -> None:
        """What the interpreter calls when a signal comes."""
        if self.received is not None:
            self._end_now(b"")
        self.received = number
        if self._announcement:
            _tell(f"\n{self._announcement}\n".encode())
        self._loop.call_soon_threadsafe(self._stop.set)
        for action in self.on_first:
            action()
        # A thread, because neither the loop nor a thread that hangs in a resolver or an fsync can be relied on now.
        timer = threading.Timer(GRACE, self._end_now, (_TOO_LONG,))
        timer.daemon = True
        timer.start()

    def _end_now(self, message: bytes) -> None:
        _tell(message + (_SHOW_CURSOR if os.isatty(2) else b""))
        os._exit(self.exit_status or 1)


@contextmanager
def stopping_on_signals(stop: anyio.Event, *, announcement: str = STOPPING_RUN) -> Iterator[Stopper]:
    """Within the block the signals of ``STOPPING`` set *stop*. To be called on the main thread, in a running loop.

    One that is ignored stays ignored: that is what ``nohup`` is for.

    Once a signal has come its handlers stay, so that a second one ends the process during the clean-up too.

    Args:
        announcement: told on standard error when the first signal comes; "": nothing is.
    """
    stopper = Stopper(stop, asyncio.get_running_loop(), announcement)
    heard = [number for number in STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    earlier = {number: signal.signal(number, stopper.handle) for number in heard}
    try:
        yield stopper
    finally:
        if stopper.received is None:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def _tell(message: bytes) -> None:
    """Straight to the descriptor: a handler may have interrupted a write to the stream and hold its lock."""
    try:
        os.write(2, message)
    except OSError:
        return
