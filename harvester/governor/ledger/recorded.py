"""A ledger for one who only looks, or only rehearses: it knows a journal that was read, and writes nothing anywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harvester.governor.ledger.memory import MemoryLedger
from harvester.governor.ledger.news import Ended, News, Opened, Released


class RecordedLedger(MemoryLedger):
    """Tells the news of a journal once, then is a ledger in memory."""

    def __init__(self, news: Sequence[News]) -> None:
        super().__init__()
        self._news: Sequence[News] = news
        # Numbers that the journal uses must not be given again.
        self._number = max((_number(item) for item in news), default=0)

    async def take(
        self, keep: float, read: Callable[[Sequence[News]], None], may_send: Callable[[], bool]
    ) -> int | None:
        if self._news:
            read(self._news)
            self._news = ()
        return await super().take(keep, read, may_send)


def _number(item: News) -> int:
    return item.number if isinstance(item, Opened | Ended | Released) else 0
