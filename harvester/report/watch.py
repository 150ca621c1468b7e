"""A harvest that is repeated, calmly: one line a resource, redrawn in place; what was new scrolls away above."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from harvester.events import Event, Listening, Probed, Pushed, RoundFinished, SourceFailed, Warned
from harvester.report import units
from harvester.report.printable import printable
from harvester.report.progress import SPARE_LINES
from harvester.report.pulse import COMPLETE, Health, ResourceHealth, SourceHealth
from harvester.report.pushes import told_of
from harvester.report.render import safe, table_of, verdict

_REFRESHES_PER_SECOND = 1
_REASON_WIDTH = 70


class Watch:
    """A Sink for a terminal. A context manager: leaving it clears the live lines.

    Args:
        health: tells how things stand; called from the thread that draws.
    """

    def __init__(self, console: Console, health: Callable[[], Health]) -> None:
        self._health = health
        self._live = Live(
            console=console,
            get_renderable=lambda: picture(health(), max(1, console.height - SPARE_LINES)),
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Watch:
        self._live.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        for line in lines_of(event):
            self._live.console.print(line)


def lines_of(event: Event) -> list[Text]:
    """What stays to be read of *event*: a round that found nothing new leaves nothing."""
    match event:
        case RoundFinished():
            return [line for line in _rounds(event) if line is not None]
        case Listening() | Pushed():
            return told_of(event)
        case SourceFailed():
            return [_timed(event.at, safe(f"{event.source} failed: {event.reason}", "red"))]
        case Warned():
            return [_timed(event.at, safe(f"{event.source}: {event.message}", "yellow"))]
        case Probed() if event.requests or event.doubt:
            doubt = f"; in doubt: {event.doubt}" if event.doubt else ""
            return [_timed(event.at, safe(f"{event.source} {event.resource}: {event.walk}: {event.reason}{doubt}"))]
    return []


def _rounds(event: RoundFinished) -> list[Text | None]:
    found: list[Text | None] = []
    told: set[str] = set()
    for result in event.results:
        if result.verdict == COMPLETE and not result.changes:
            continue
        what = f"{result.mode}, " if result.mode else ""
        changes = (
            f"{units.number_of(result.changes, 'change')}, " if result.verdict == COMPLETE or result.changes else ""
        )
        line = safe(f"{event.source} {result.resource}: {what}{changes}")
        reason = "for the same reason" if result.reason in told else result.reason
        told.add(result.reason or "-")
        line.append_text(verdict(result.verdict, reason))
        if result.verdict != COMPLETE and event.next_in is not None:
            line.append(f"; again in {units.duration(event.next_in)}")
        found.append(_timed(event.at, line))
    return found


def _timed(at: datetime, line: Text) -> Text:
    return Text(f"{at:%H:%M:%S} ", style="dim").append_text(line)


def picture(health: Health, most: int) -> Group:
    """The live lines: a table of all resources, no more than *most* lines of it."""
    numbers = ("changes", "requests")
    columns = ("source", "resource", "current", *numbers, "next", "state")
    table = table_of(*columns, right=numbers, dispensable=("requests", "changes"))
    rows = [(source, resource) for source in health.sources for resource in source.resources]
    shown = rows if len(rows) <= most else rows[: max(1, most - 1)]
    for source, resource in shown:
        table.add_row(
            safe(resource.source),
            safe(resource.resource),
            _currency(source, resource),
            units.count(resource.changes),
            units.count(resource.requests),
            _next(health, resource),
            safe(printable(_state(source, resource), _REASON_WIDTH)),
        )
    below = [
        safe(f"{each.source}: {each.stopped or each.pause_reason or 'asking what it has'}")
        for each in health.sources
        if not each.resources
    ]
    if len(rows) > len(shown):
        below.append(Text(f"… and {len(rows) - len(shown)} more"))
    return Group(table, *below) if shown else Group(*below)


def _currency(source: SourceHealth, resource: ResourceHealth) -> Text:
    if resource.age is None:
        return safe("not yet", "yellow")
    style = "green" if resource.current and not source.stopped else "red"
    return safe(f"{units.duration(resource.age)} ago", style)


def _next(health: Health, resource: ResourceHealth) -> str:
    if resource.next_round is None:
        return "now" if resource.under_way else "-"
    return units.countdown(max(0.0, (resource.next_round - health.at).total_seconds()))


def _state(source: SourceHealth, resource: ResourceHealth) -> str:
    if source.stopped:
        return f"stopped: {source.stopped}"
    if resource.under_way:
        paused = source.paused_until
        waiting = f", waiting: {source.pause_reason}" if paused is not None else ""
        taken = f", {units.number_of(resource.taken, 'record')}" if resource.taken else ""
        return f"{resource.under_way}{taken}{waiting}"
    if resource.verdict not in {"", COMPLETE}:
        return f"{resource.verdict}: {resource.reason}"
    return f"the last sweep is not complete: {resource.unswept}" if resource.unswept else source.window
