"""Records that could not be taken: each once a run, however often the server sends it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import blake2b

import msgspec

from harvester.model import Rejected


class _Line(msgspec.Struct):
    reason: str
    record: str  # as text; bytes that are no UTF-8 are written as \\xNN
    at: datetime


class Quarantine:
    """Knows what is in a run's quarantine shards. Sixteen bytes a record; they are few."""

    def __init__(self) -> None:
        self._held: set[bytes] = set()

    def admit(self, rejected: Iterable[Rejected]) -> list[Rejected]:
        """Those that are not held yet; from now on they are."""
        fresh = []
        for each in rejected:
            digest = _digest(_text(each.record))
            if digest not in self._held:
                self._held.add(digest)
                fresh.append(each)
        return fresh

    def remember(self, line: bytes) -> None:
        """Take a line that an earlier attempt has committed."""
        self._held.add(_digest(msgspec.json.decode(line, type=_Line).record))


def quarantine_line(rejected: Rejected, at: datetime) -> bytes:
    """One line of a quarantine shard, with its line end: reason, record, time."""
    return msgspec.json.encode(_Line(reason=rejected.reason, record=_text(rejected.record), at=at)) + b"\n"


def _text(record: bytes) -> str:
    return record.decode("utf-8", "backslashreplace")


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()
