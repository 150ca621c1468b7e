"""The Ledger: one order of events that all who use a credential agree on.

A ledger is a journal. Whoever wants to send takes a turn: reads what the others wrote since last time, decides on
the whole picture, and writes its own send down, with nobody else in between. So the same pure account serves one
process, eight of them, and the run after a kill. Times leave a ledger as ages in seconds, never negative: every
process turns them into its own monotonic time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from msgspec import Struct, structs

from harvester.model import WindowSignal


class Opened(Struct, frozen=True):
    """Another process has been admitted: the request may be on the wire."""

    number: int
    age: float


class Ended(Struct, frozen=True):
    """Another process's request has ended, or its process has."""

    number: int
    age: float
    size: int  # body bytes on the wire
    heard: bool  # its answer brought figures, told separately


class Released(Struct, frozen=True):
    """Another process's request never went out."""

    number: int


class Paused(Struct, frozen=True):
    """Nothing may be sent for *seconds* from now."""

    seconds: float
    reason: str


class Heard(Struct, frozen=True):
    """An answer to another process said this; ``resets_in`` counts from now."""

    signal: WindowSignal


class Unknown(Struct, frozen=True):
    """What was spent until *age* seconds ago is lost: count every window as spent then."""

    age: float


News = Opened | Ended | Released | Paused | Heard | Unknown


def aged(signal: WindowSignal, age: float) -> WindowSignal:
    """What *signal*, told *age* seconds ago, says now."""
    if signal.used is not None and signal.resets_in is None and signal.seconds is not None:
        # A count without a Reset: at the latest one period after it was told, none of it counts.
        return structs.replace(
            signal, resets_in=max(0.0, signal.seconds - age), used=signal.used if age < signal.seconds else None
        )
    if signal.resets_in is None:
        return signal
    left = signal.resets_in - age
    return structs.replace(
        signal, resets_in=max(0.0, left), remaining=signal.remaining if left > 0 else None, used=None
    )


def from_the_beginning(news: Iterable[News]) -> list[News]:
    """A journal for whoever has not seen its requests under way: figures come behind the end of their request.

    What is left was told before the end of its request and counts it, so read first it would count twice. What was
    used is told without the requests under way, and stays where it is.
    """
    ordered: list[News] = []
    figures: list[News] = []
    for item in news:
        if isinstance(item, Heard) and item.signal.used is None:
            figures.append(item)
            continue
        ordered.append(item)
        if isinstance(item, Ended):
            ordered += figures
            figures.clear()
    return ordered + figures


class Ledger(Protocol):
    """Keeps the journal of one credential."""

    poll: float | None
    """Seconds after which a waiter should look for news; None: nobody else writes here."""

    warning: str
    """What the user should know about this ledger, for example that it had to be started anew; "" for nothing."""

    async def take(
        self, keep: float, read: Callable[[Sequence[News]], None], may_send: Callable[[], bool]
    ) -> int | None:
        """Take a turn: *read* the news, ask *may_send*, and if it agrees write the send down before returning.

        The send is on record before anyone can put it on the wire, so a kill cannot lose it (FAULTS Q09, R01).
        A cancelled call has written nothing.

        Args:
            keep: seconds for which spending matters, the longest window; older entries may be dropped.
        Returns:
            The number of the send, unique in this ledger; None when *may_send* said no.
        Raises:
            StorageError: the ledger cannot be written, so nothing may be sent (fail closed).
            WaitError: another process has held it for too long.
        """
        ...

    def end(self, number: int, size: int, *, heard: bool) -> None:
        """The request has ended: answered, refused or failed after it may have reached the server."""
        ...

    def release(self, number: int) -> None:
        """The request was never sent."""
        ...

    def pause(self, seconds: float, reason: str) -> None:
        """All who share the credential stay silent for *seconds* from now."""
        ...

    def hear(self, signal: WindowSignal) -> None:
        """An answer said this; written together with the end of its request."""
        ...

    def close(self) -> None:
        """Write what is left and let go of the store; later calls do nothing."""
        ...
