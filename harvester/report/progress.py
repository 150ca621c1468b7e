"""Live progress for a person: one line a resource, redrawn in place; finished resources scroll away above."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from harvester.contracts import Clock
from harvester.events import (
    Event,
    PageFetched,
    Quarantined,
    Repeated,
    ResourceFinished,
    ResourceStarted,
    SourceFailed,
    Waiting,
    Warned,
    WindowUse,
)
from harvester.report import units
from harvester.report.printable import printable
from harvester.report.render import safe, verdict

RATE_SECONDS = 10.0  # the rate shown is that of the last so many seconds
REFRESHES_PER_SECOND = 4
NAME_WIDTH = 40


@dataclass(kw_only=True)
class _Line:
    """One resource under way. Times are monotonic seconds."""

    source: str
    name: str
    began: float
    before: int  # records of earlier attempts
    expected: int | None
    records: int = 0  # of this attempt
    quarantined: int = 0
    recent: deque[tuple[float, int]] = field(default_factory=deque)

    def add(self, now: float, records: int) -> None:
        self.records += records
        self.recent.append((now, records))
        while self.recent[0][0] < now - RATE_SECONDS:
            self.recent.popleft()

    def rate(self, now: float) -> float:
        """Records a second over the last ``RATE_SECONDS``."""
        span = min(RATE_SECONDS, now - self.began)
        # A copy: the loop's thread may add while the thread that draws sums up.
        recent = tuple(self.recent)
        return sum(records for at, records in recent if at >= now - RATE_SECONDS) / span if span > 0 else 0.0

    def eta(self, now: float) -> float | None:
        """Seconds to the end at the average rate, waits included; None: not known."""
        missing = None if self.expected is None else self.expected - self.before - self.records
        if missing is None or missing <= 0 or not self.records or now <= self.began:
            return None
        return missing * (now - self.began) / self.records


@dataclass(kw_only=True)
class _Credential:
    """What all resources of a source share."""

    window: str = ""  # "12/20 this minute"
    paused_until: float = 0.0  # monotonic
    why: str = ""


class Board:
    """What the progress shows, folded from events; knows no terminal."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: dict[tuple[str, str], _Line] = {}
        self._credentials: dict[str, _Credential] = {}

    def fold(self, event: Event) -> Text | None:
        """Take *event* in. Returns a line to leave behind for good, or None."""
        now = self._clock.monotonic()
        match event:
            case PageFetched():
                if line := self._lines.get((event.source, event.resource)):
                    line.add(now, event.records)
                    self._credential(event.source).why = ""
            case Quarantined():
                if line := self._lines.get((event.source, event.resource)):
                    line.quarantined += 1
            case WindowUse():
                self._credential(event.source).window = _window(event)
            case Waiting():
                credential = self._credential(event.source)
                credential.paused_until, credential.why = now + event.seconds, event.reason
            case Repeated():
                credential = self._credential(event.source)
                credential.paused_until, credential.why = 0.0, f"try {event.attempt + 1}: {event.reason}"
            case ResourceStarted():
                self._lines[event.source, event.resource] = _Line(
                    source=event.source,
                    name=printable(f"{event.source} {event.resource}", NAME_WIDTH),
                    began=now,
                    before=event.records,
                    expected=event.expected,
                )
            case ResourceFinished():
                self._lines.pop((event.source, event.resource), None)
                return _farewell(event)
            case SourceFailed():
                return safe(f"{event.source} failed: {event.reason}", "red")
            case Warned():
                return safe(f"warning: {event.source}: {event.message}", "yellow")
        return None

    def render(self) -> RenderableType:
        """The lines as they are now. May be called from another thread than ``fold``."""
        now = self._clock.monotonic()
        grid = Table.grid(padding=(0, 2))
        for number in range(6):
            grid.add_column(justify="right" if number in {1, 2} else "left", no_wrap=True)
        for line in tuple(self._lines.values()):
            credential = self._credentials.get(line.source) or _Credential()
            grid.add_row(
                Text(line.name),  # not a str: those are read as markup
                f"{units.count(line.before + line.records)} records",
                f"{units.count(round(line.rate(now)))}/s",
                credential.window,
                Text(_state(line, credential, now)),
                f"{units.count(line.quarantined)} quarantined" if line.quarantined else "",
            )
        return grid

    def _credential(self, source: str) -> _Credential:
        return self._credentials.setdefault(source, _Credential())


class Progress:
    """A Sink that shows a ``Board`` on a terminal. A context manager: leaving it clears the live lines."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._board = Board(clock)
        self._live = Live(
            console=console,
            get_renderable=self._board.render,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Progress:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        left_behind = self._board.fold(event)
        if left_behind is not None:
            self._live.console.print(left_behind)


def _window(event: WindowUse) -> str:
    period = units.period(event.seconds)
    within = f"this {period}" if period.isalpha() else f"in {period}"
    return f"{units.count(event.used)}/{units.count(event.limit)} {within}"


def _state(line: _Line, credential: _Credential, now: float) -> str:
    if credential.paused_until > now:
        return f"waiting {units.countdown(credential.paused_until - now)} ({printable(credential.why, 60)})"
    if credential.why and not credential.paused_until:
        return printable(credential.why, 60)
    eta = line.eta(now)
    return f"ETA {units.duration(eta)}" if eta is not None else ""


def _farewell(event: ResourceFinished) -> Text:
    text = safe(f"{event.source} {event.resource}: {units.count(event.records)} records, ")
    return text.append_text(verdict(event.verdict, event.reason))
