"""One entry of a journal that outlives its writer, and what it means to whoever reads it later. Pure."""

from __future__ import annotations

import msgspec

from harvester.governor.ledger.news import Ended, Heard, News, Opened, Paused, Released, Unknown, aged
from harvester.model import WindowSignal

_DRIFT = 0.5
"""Seconds between wall and monotonic time since the last look that mean a jump."""


class Entry(msgspec.Struct, frozen=True):
    """Something that happened, as it is written down."""

    kind: str  # open, ended, unheard (ended without figures), released, pause, told, unknown
    ref: int  # the send it is about; 0: none
    at: float  # seconds on the clock of the one who keeps it
    size: int = 0  # bytes; milliseconds of a pause
    topic: str = ""  # the window an answer told of; a newer one takes the place of an older one
    text: str = ""


def told(signal: WindowSignal, at: float) -> Entry:
    """The entry for what an answer said of one window."""
    topic = f"{signal.unit}/{signal.seconds or signal.limit}/{signal.name}"
    return Entry("told", 0, at, topic=topic, text=msgspec.json.encode(signal).decode())


def without_limit(text: str) -> str | None:
    """What is left of the *text* of a told entry when the limit it names is forgotten; None: nothing.

    What was used or left stays: it is spending. A text of a newer version stays as it is.
    """
    try:
        signal = msgspec.structs.replace(msgspec.json.decode(text, type=WindowSignal), limit=None)
    except msgspec.MsgspecError:
        return text
    if signal.remaining is None and signal.used is None:
        return None
    return msgspec.json.encode(signal).decode()


def news_of(number: int, entry: Entry, age: float) -> News | None:
    """What *entry*, written *age* seconds ago as *number*, says now; None: nothing (any more)."""
    match entry.kind:
        case "open":
            return Opened(number, age)
        case "ended" | "unheard":
            return Ended(entry.ref, age, entry.size, entry.kind == "ended")
        case "released":
            return Released(entry.ref)
        case "pause":
            left = entry.size / 1000 - age
            return Paused(left, entry.text) if left > 0 else None
        case "told":
            return _heard(entry.text, age)
        case "unknown":
            return Unknown(age)
        case _:
            return None  # of a newer version


def _heard(text: str, age: float) -> Heard | None:
    try:
        signal = msgspec.json.decode(text, type=WindowSignal)
    except msgspec.MsgspecError:
        return None
    return Heard(aged(signal, age))


class Ages:
    """How old entries are. Wall time survives a restart, and may jump: it is believed within bounds only.

    An entry is never younger than now nor, once this process runs, older than its last look; entries from the future
    become entries of now (FAULTS C02), which is a wait of at most one window.
    """

    def __init__(self) -> None:
        self._looked = float("-inf")  # monotonic; never yet
        self._looked_wall = 0.0
        self._wall = 0.0
        self._oldest = float("inf")

    @property
    def first(self) -> bool:
        """Nobody has looked yet."""
        return self._looked == float("-inf")

    def look(self, now: float, wall: float) -> None:
        """The journal is read, whole up to here, at *now* (monotonic) and *wall* (the clock of its entries)."""
        # Whatever was not there at the last look is no older than it; after a jump of the wall clock, no age at all.
        if not self.first:
            self._oldest = now - self._looked
            if abs((wall - self._looked_wall) - self._oldest) > _DRIFT:
                self._oldest = 0.0
        self._looked, self._looked_wall, self._wall = now, wall, wall

    def of(self, at: float) -> float:
        """Seconds since *at*, at the present look."""
        return min(max(0.0, self._wall - at), self._oldest)
