"""Live progress for a person: one line a resource, redrawn in place; finished resources scroll away above."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harvester.contracts import Clock
from harvester.events import (
    Compared,
    Counted,
    CredentialLost,
    Event,
    ListingBegun,
    PageFetched,
    Probed,
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
SPARE_LINES = 6  # of the terminal: lines that scroll away above must not meet the live ones


@dataclass(kw_only=True)
class _Line:
    """One resource under way. Times are monotonic seconds."""

    source: str
    name: str
    began: float
    before: int  # records of earlier attempts
    walks: int  # that count together
    counts: dict[str, int] = field(default_factory=dict)  # records the provider claims, by walk
    records: int = 0  # of this attempt
    quarantined: int = 0
    doing: str = ""  # what else than reading everything
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
        counts = tuple(self.counts.values())
        if len(counts) < self.walks or not self.records or now <= self.began:
            return None
        missing = sum(counts) - self.before - self.records
        if missing <= 0:
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
        self._credentials: dict[str, _Credential] = {}  # by source, whatever asks
        self._several: dict[str, dict[str, _Credential]] = {}  # by source and name, where a source has several
        self._told: set[tuple[str, str]] = set()

    def fold(self, event: Event) -> Text | None:
        """Take *event* in. Returns a line to leave behind for good, or None."""
        now = self._clock.monotonic()
        match event:
            case PageFetched():
                if line := self._lines.get((event.source, event.resource)):
                    line.add(now, event.records)
                    for each in (self._credential(event.source), *self._several.get(event.source, {}).values()):
                        each.why = ""
            case ListingBegun():
                if line := self._lines.get((event.source, event.resource)):
                    line.doing = "listing all keys"
            case Compared():
                if line := self._lines.get((event.source, event.resource)):
                    again = event.missing + event.differing
                    line.doing = f"{units.number_of(again, 'record')} to fetch again" if again else ""
            case Counted():
                if line := self._lines.get((event.source, event.resource)):
                    line.counts[event.walk] = event.expected
            case Quarantined():
                if line := self._lines.get((event.source, event.resource)):
                    line.quarantined += 1
            case WindowUse():
                self._credential(event.source, event.credential).window = _window(event)
            case Waiting():
                credential = self._credential(event.source, event.credential)
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
                    walks=event.walks,
                )
            case ResourceFinished():
                self._lines.pop((event.source, event.resource), None)
                return self._farewell(event)
            case SourceFailed():
                return safe(f"{event.source} failed: {event.reason}", "red")
            case CredentialLost():
                self._several.get(event.source, {}).pop(event.credential, None)
                return safe(credential_lost(event), "yellow")
            case Probed() if event.requests or event.doubt:
                doubt = f"; in doubt: {event.doubt}" if event.doubt else ""
                return safe(f"{event.source} {event.resource}: {event.walk}: {event.reason}{doubt}")
            case Warned():
                return safe(f"warning: {event.source}: {event.message}", "yellow")
        return None

    def render(self, most: int | None = None) -> Group:
        """The lines as they are now, no more than *most*. May be called from another thread than ``fold``."""
        now = self._clock.monotonic()
        lines = tuple(self._lines.values())
        shown = lines if most is None or len(lines) <= most else lines[: max(1, most - 1)]
        rows = [self._cells(line, now) for line in shown]
        widths = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
        # Each stays one line, cut by the terminal at its end: what stands last matters least.
        texts = [
            "  ".join(
                cell.rjust(width) if number in {1, 2} else cell.ljust(width)
                for number, (cell, width) in enumerate(zip(row, widths, strict=True))
                if width
            )
            for row in rows
        ]
        if len(lines) > len(shown):
            texts.append(f"… and {len(lines) - len(shown)} more")
        return Group(*(Text(text.rstrip(), no_wrap=True, overflow="ellipsis") for text in texts))

    def _cells(self, line: _Line, now: float) -> tuple[str, ...]:
        credential = _together(
            self._credentials.get(line.source) or _Credential(), self._several.get(line.source) or {}
        )
        return (
            line.name,
            units.number_of(line.before + line.records, "record"),
            f"{units.count(round(line.rate(now)))}/s",
            credential.window,
            f"{units.count(line.quarantined)} quarantined" if line.quarantined else "",
            _state(line, credential, now),
        )

    def _farewell(self, event: ResourceFinished) -> Text:
        """The line a resource leaves. A reason it shares with another of its source is told only by the first."""
        text = safe(f"{event.source} {event.resource}: {units.number_of(event.records, 'record')}, ")
        shared = (event.source, event.reason) in self._told
        self._told.add((event.source, event.reason))
        reason = "for the same reason" if shared and event.reason else event.reason
        return text.append_text(verdict(event.verdict, reason))

    def _credential(self, source: str, name: str = "") -> _Credential:
        if name:
            return self._several.setdefault(source, {}).setdefault(name, _Credential())
        return self._credentials.setdefault(source, _Credential())


class Progress:
    """A Sink that shows a ``Board`` on a terminal. A context manager: leaving it clears the live lines."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._board = Board(clock)
        self._live = Live(
            console=console,
            get_renderable=lambda: self._board.render(max(1, console.height - SPARE_LINES)),
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


def credential_lost(event: CredentialLost) -> str:
    """That one of several credentials is refused, and who goes on; for people."""
    rest = f"{', '.join(event.left)} go on" if len(event.left) > 1 else f"{event.left[0]} goes on" if event.left else ""
    return f"warning: {event.source}: the credential {event.credential} is refused; {rest or 'none is left'}"


def _together(shared: _Credential, several: Mapping[str, _Credential]) -> _Credential:
    """What is told of a source: it waits when all of its credentials do, until the first of them may go on."""
    if not several:
        return shared
    first = min(several.values(), key=lambda each: each.paused_until)
    return _Credential(
        window=", ".join(f"{name} {each.window}" for name, each in tuple(several.items()) if each.window),
        paused_until=first.paused_until or shared.paused_until,
        why=first.why or shared.why,
    )


def _window(event: WindowUse) -> str:
    period = units.period(event.seconds)
    within = f"this {period}" if period.isalpha() else f"in {period}"
    return f"{units.count(event.used)}/{units.count(event.limit)} {within}"


def _state(line: _Line, credential: _Credential, now: float) -> str:
    if credential.paused_until > now:
        why = f" ({printable(credential.why, 60)})" if credential.why else ""
        return f"waiting {units.countdown(credential.paused_until - now)}{why}"
    if credential.why and not credential.paused_until:
        return printable(credential.why, 60)
    if line.doing:
        return line.doing
    eta = line.eta(now)
    return f"ETA {units.duration(eta)}" if eta is not None else ""
