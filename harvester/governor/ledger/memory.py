"""A ledger for one process and one run: the account in memory is all there is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harvester.governor.ledger.news import News
from harvester.model import WindowSignal


class MemoryLedger:
    """Numbers the sends and keeps nothing."""

    poll: float | None = None
    warning = ""

    def __init__(self) -> None:
        self._number = 0

    async def take(
        self,
        keep: float,
        read: Callable[[Sequence[News]], None],
        may_send: Callable[[], bool],
    ) -> int | None:
        return self.take_now() if may_send() else None

    def take_now(self) -> int:
        """The number of a send that may go: nobody else writes here, so there is nothing to read or to wait for."""
        self._number += 1
        return self._number

    def end(self, number: int, size: int, *, heard: bool) -> None: ...

    def release(self, number: int) -> None: ...

    def pause(self, seconds: float, reason: str) -> None: ...

    def hear(self, signal: WindowSignal) -> None: ...

    def close(self) -> None: ...
