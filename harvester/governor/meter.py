"""Tells those who watch how much of the quota is used: now and then while requests go out, and before every wait."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from msgspec import structs

from harvester.contracts import Clock, Sink
from harvester.events import Event, SourceEvent, Waiting, WindowUse

_SELDOM = 0.5
"""Seconds between two tellings: more often than a person reads is only noise in the lines a program reads."""


class Meter:
    """The sink of one governor. What it tells goes out once for every source that shares the credential."""

    def __init__(self, sources: Sequence[tuple[str, str]], clock: Clock, sink: Sink) -> None:
        """*sources*: each with its name for the credential, "" where it has one only."""
        self._sources = tuple(sources)
        self._clock = clock
        self._sink = sink
        self._usage: Callable[[], WindowUse | None] | None = None
        self._due = -math.inf  # monotonic
        self._told: WindowUse | None = None

    def read(self, usage: Callable[[], WindowUse | None]) -> None:
        """Measure by *usage* from now on: ``Governor.usage`` of the governor whose sink this is."""
        self._usage = usage

    def __call__(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._tell()  # the line that says why nothing goes on must not show a window with room
        if isinstance(event, Waiting):
            for source, credential in self._sources:
                self._sink(structs.replace(event, source=source, credential=credential))
        elif isinstance(event, SourceEvent):
            for source, _ in self._sources:
                self._sink(structs.replace(event, source=source))
        else:
            self._sink(event)

    def look(self) -> None:
        """A request has ended: tell of the window, if nothing was told just now."""
        if self._clock.monotonic() >= self._due:
            self._tell()

    def _tell(self) -> None:
        use = self._usage() if self._usage is not None else None
        if use is None:
            return
        told = self._told
        if told is not None and (told.used, told.limit, told.seconds) == (use.used, use.limit, use.seconds):
            return
        self._told = use
        self._due = self._clock.monotonic() + _SELDOM
        for source, credential in self._sources:
            self._sink(structs.replace(use, source=source, credential=credential))
