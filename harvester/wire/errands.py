"""What the requests of a task are for: whose turn it is, and by which credential. The engine says it where it asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from msgspec import Struct

from harvester.governor.line import Priority

__all__ = ["Errand", "Priority", "errand", "on_errand"]


class Errand(Struct, frozen=True, kw_only=True):
    """Who waits for an admission, and how it ranks among the others of the credential."""

    priority: Priority = Priority.BACKFILL
    lane: str = ""  # those of one lane are served in order of arrival; lanes share by *weight*
    weight: float = 1.0
    urgent_at: float = math.inf  # monotonic; from then on it goes before all others, as its cursor would die
    walk: str = ""  # of which walk it is; those of one stay with a credential while it is free
    via: str | None = None  # only by the credential of this name; None: by any
    claim: Callable[[], bool] | None = None  # asked once it is admitted; False: another credential was faster


_NOW: ContextVar[Errand] = ContextVar("errand", default=Errand())  # noqa: B039 - frozen


@contextmanager
def on_errand(errand: Errand) -> Iterator[None]:
    """What is sent inside the block, by this task, is sent for *errand*."""
    token = _NOW.set(errand)
    try:
        yield
    finally:
        _NOW.reset(token)


def errand() -> Errand:
    """That of the running task; tokens and counts have none of their own."""
    return _NOW.get()
