"""What a credential has used of each window, from its journal: for people, who send nothing by it. Pure.

The same account that decides over requests does the counting, so what is shown is what holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from harvester.governor.account import Account
from harvester.governor.gate import Gate
from harvester.governor.learned import Learned
from harvester.governor.ledger.news import Ended, Heard, News, Opened, Paused, Released, Unknown
from harvester.model import Budget


class WindowPicture(Struct, frozen=True, kw_only=True):
    """One window as it is now. Amounts are requests or, by *unit*, bytes."""

    unit: str  # requests or bytes
    seconds: float | None  # its length; None: only the server knows it
    limit: int | None  # what this program may use of it, margin and reserve taken off; None: unknown
    stated: int | None  # the same with nothing taken off
    used: int  # requests under way included
    left: int | None  # what may be sent now before this window stops it; None: unknown
    frees_in: float | None  # seconds until the oldest of *used* stops counting; None: nothing counts
    resets_in: float | None  # seconds until the server starts the window again, as it told; None: it did not
    declared: bool  # False: only answers told of it


class Picture(Struct, frozen=True, kw_only=True):
    """One credential as it is now."""

    windows: tuple[WindowPicture, ...]
    open: int  # requests under way
    paused: float  # seconds of silence left; 0: none
    reason: str  # of the pause


def picture(budget: Budget, news: Sequence[News], learned: Sequence[Learned] = ()) -> Picture:
    """What *news*, oldest first, and what was *learned* come to under *budget*."""
    # A monotonic time at which everything in the journal has happened already.
    now = max((item.age for item in news if isinstance(item, Opened | Ended | Unknown)), default=0.0)
    account = Account(budget)
    declared = len(account.gates)
    account.recall(learned)
    paused, reason = 0.0, ""
    for item in news:
        match item:
            case Opened(number, age):
                account.opened(number, now - age)
            case Ended(number, age, size, heard):
                account.settled(number, now - age, size, own=False, heard=heard)
            case Released(number):
                account.released(number)
            case Paused(seconds, why):
                paused, reason = max((paused, reason), (seconds, why))
            case Heard(signal):
                account.hear(signal, now, own=False)
            case Unknown(age):
                account.unknown(now - age)
    windows = [
        _window(gate, now, len(account.open), account.page_bytes if gate.unit == "bytes" else 1, index < declared)
        for index, gate in enumerate(account.gates)
    ]
    windows.sort(key=lambda window: window.seconds or 0.0)
    return Picture(windows=tuple(windows), open=len(account.open), paused=paused, reason=reason)


def _window(gate: Gate, now: float, open_requests: int, each: int, declared: bool) -> WindowPicture:
    use = gate.use(now, open_requests, each)
    used, limit = use if use is not None else (gate.log.used(now) if gate.log is not None else 0, gate.limit)
    left = None if limit is None else max(0, limit - used)
    told = gate.feedback
    current = told.current(now)
    if current:
        said = max(0, told.left(open_requests, each))
        left = said if left is None else min(left, said)
    oldest = gate.log.next_end(now) if gate.log is not None else None
    return WindowPicture(
        unit=gate.unit,
        seconds=gate.seconds,
        limit=limit,
        stated=gate.stated if gate.stated is not None else limit,
        used=used,
        left=left,
        frees_in=None if oldest is None else max(0.0, oldest - now),
        resets_in=max(0.0, told.reset_at - now) if current else None,
        declared=declared,
    )
