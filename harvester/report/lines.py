"""Events as JSON lines, for a program that reads standard output.

A thread does the writing, so that a reader that is slow or stuck never blocks the event loop at once; a bounded queue
stands between, so that it cannot fill the memory either. A reader that went away is told to the caller and nothing
more is written (FAULTS R08). A file on a full disk is another matter, and told apart (FAULTS F01).
"""

from __future__ import annotations

import errno
import queue
import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from harvester.events import Event
from harvester.report.printable import printable

QUEUED_LINES = 10_000
HURRIED_SECONDS = 2.0  # longest wait for the reader at the end of a run that was told to stop
_READER_LEFT = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EBADF})  # EBADF: closed in this very process
_PATIENCE = 0.25  # seconds between two looks at whether there is a hurry now, while the reader is waited for


class RawOutput(Protocol):
    """An unbuffered binary stream. Buffered ones hold a lock that an exit could find taken."""

    def write(self, data: bytes, /) -> int | None: ...


def event_line(event: Event) -> bytes:
    """*event* as one line of JSON, its tag ``event`` first, with line end.

    Printed as it is on a terminal it changes nothing there: control characters and direction marks are escaped.
    """
    line = msgspec.json.encode(event)
    if not line.isascii() or b"\x7f" in line:
        line = "".join(char if char.isprintable() else _escaped(char) for char in line.decode()).encode()
    return line + b"\n"


class EventLines:
    """A Sink that writes every event to *output*. A context manager: leaving it writes what is queued.

    Args:
        on_gone: called once, from the writing thread, when nothing can be written any more.
    """

    def __init__(self, output: RawOutput, *, on_gone: Callable[[], None] | None = None) -> None:
        self._output = output
        self._on_gone = on_gone
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUED_LINES)
        self._ended = threading.Event()  # nothing is written any more
        self._gone = False
        self._failure: OSError | None = None
        self._hurried = False
        # A daemon: a stuck reader must not keep the process alive.
        self._thread = threading.Thread(target=self._write_all, name="event-lines", daemon=True)

    @property
    def gone(self) -> bool:
        """Whether the reader went away."""
        return self._gone

    @property
    def failure(self) -> OSError | None:
        """Why the output cannot be written, for example a full disk; None: it can, or its reader went away."""
        return self._failure

    def __enter__(self) -> EventLines:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __call__(self, event: Event) -> None:
        self._put(event_line(event))

    def hurry(self) -> None:
        """The run is to end soon: events that find the queue full are dropped from now on. Safe in a signal handler."""
        self._hurried = True

    def close(self) -> None:
        """Write what is queued. A slow reader is waited for, as by any program; in a hurry only ``HURRIED_SECONDS``."""
        self._put(None)
        while self._thread.is_alive() and not self._hurried:
            self._thread.join(_PATIENCE)
        self._thread.join(HURRIED_SECONDS)
        self._ended.set()

    def _put(self, line: bytes | None) -> None:
        while not self._ended.is_set():
            try:
                self._queue.put(line, timeout=None if self._hurried else _PATIENCE, block=not self._hurried)
            except queue.Full:
                if not self._hurried:
                    continue
            return

    def _write_all(self) -> None:
        while (line := self._queue.get()) is not None:
            try:
                self._write(line)
            except (OSError, ValueError) as error:  # ValueError: the stream was closed
                if isinstance(error, OSError) and error.errno not in _READER_LEFT:
                    self._failure = error
                else:
                    self._gone = True
                self._ended.set()
                if self._on_gone is not None:
                    self._on_gone()
                return

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            written = self._output.write(bytes(rest))
            rest = rest[len(rest) if written is None else written :]


def _escaped(char: str) -> str:
    if len(printable(char)) == 1:
        return char  # a space of another width: data, and harmless
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
