"""What was pushed, for people: how it stands, and a line for each run of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from rich.console import Console
from rich.text import Text

from harvester.events import Event, Listening, Pushed, SourceFailed, Warned
from harvester.report import units
from harvester.report.render import safe, table_of


class PushHealth(Struct, frozen=True, kw_only=True):
    """How the push of one source stands. Numbers are since the process began, but for those that wait."""

    source: str
    waiting: int  # records that were announced and are in no run yet
    posts: int  # taken
    known: int  # posts that came once more
    refused: int  # posts
    overflowed: int  # posts put off, because too many records wait
    ignored: int  # notices of resources that are not configured, or cannot be asked for by key
    records: int  # written
    gone: int
    spared: int  # records that a delta or a sweep has brought meanwhile
    dropped: int  # records given up: no answer could be used
    last_answer: datetime | None  # of the provider, aware UTC
    paused_until: datetime | None  # nothing is sent before; None: the quota is not waited for
    stalled: dict[str, str]  # resources whose notices wait, and for what
    unasked: dict[str, str]  # resources that only deltas bring, and why
    error: str = ""  # why nothing is asked any more


def told_of(event: Event) -> list[Text]:
    """What a person wants to read of *event*."""
    match event:
        case Listening():
            return [timed(event.at, safe(f"{event.purpose}: {event.url}"))]
        case Pushed():
            gone = f", {units.count(event.gone)} gone" if event.gone else ""
            waiting = f"; {units.number_of(event.waiting, 'record')} to come" if event.waiting else ""
            told = f"{event.source} {event.resource}: {units.number_of(event.records, 'record')}{gone}{waiting}"
            return [timed(event.at, safe(told))]
        case SourceFailed():
            return [timed(event.at, safe(f"{event.source} failed: {event.reason}", "red"))]
        case Warned():
            return [timed(event.at, safe(f"{event.source}: {event.message}", "yellow"))]
    return []


def timed(at: datetime, line: Text) -> Text:
    """*line* behind the time of day, UTC."""
    return Text(f"{at:%H:%M:%S} ", style="dim").append_text(line)


def write_pushes(console: Console, sources: Sequence[PushHealth]) -> None:
    """The closing table."""
    numbers = ("posts", "refused", "records", "gone", "waiting")
    table = table_of("source", *numbers, "state", right=numbers, dispensable=("refused",))
    for each in sources:
        stalled = "; ".join(f"{name}: {reason}" for name, reason in each.stalled.items())
        table.add_row(
            safe(each.source),
            units.count(each.posts),
            units.count(each.refused),
            units.count(each.records),
            units.count(each.gone),
            units.count(each.waiting),
            safe(each.error or stalled or "-"),
        )
    console.print(table)
