"""What happened in a simulation, as one hash: the same seed gives the same (FAULTS, invariant 11)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgspec

from harvester.events import Event, RunStarted


class Trace:
    """Takes every event of the client and what the server answered, with the virtual time, in order."""

    def __init__(self, now: Callable[[], float]) -> None:
        """*now*: the virtual time in seconds."""
        self._now = now
        self._hash = sha256()
        self.lines = 0

    def event(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            event = msgspec.structs.replace(event, out="")  # a temporary directory has another name every time
        self._add(msgspec.json.encode(event))

    def note(self, text: str) -> None:
        """Something else that happened."""
        self._add(text.encode())

    def _add(self, line: bytes) -> None:
        self.lines += 1
        self._hash.update(b"%r %s\n" % (self._now(), line))

    @property
    def hash(self) -> str:
        return self._hash.hexdigest()[:32]
