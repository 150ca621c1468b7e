"""``harvester quota``: what is used of each credential's quota, and what was learned about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import Parameter
from rich.console import Console

from harvester.cli.context import Given
from harvester.report import units
from harvester.report.render import safe, table_of, write_line

if TYPE_CHECKING:
    from harvester.api.quota import CredentialQuota, QuotaReport, TellingAnswer, WindowQuota


def quota(
    *,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    source: list[str] | None = None,
    out: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    forget: bool = False,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Tell, for each credential, what is used of every quota window, what is left and when it comes back.

    It also shows pauses, and what answers taught about the limits. Nothing is sent; a harvest under way is not
    disturbed.

    Exit status:

    - 0: told
    - 2: wrong arguments
    - 70: a bug in harvester
    - 74: the quota ledger cannot be read
    - 78: the configuration is wrong

    Parameters
    ----------
    config
        the configuration file; harvester.toml in the current directory if not given.
    source
        only the credential of this source; can be given several times.
    out
        the output directory, over the one in the configuration.
    set_
        KEY=VALUE over the configuration, for example sources.centris.budget.per_minute=10; can be given several times.
    forget
        drop what was learned about the limits first, and a pause of more than a day that a server asked for; what was
        spent is never forgotten.
    json
        one JSON object instead of tables.
    debug
        show tracebacks and log everything to standard error.
    """
    settings = context.settings(config, set_, out)
    report = context.api.quota(settings, sources=tuple(source or ()), drop=forget, ports=context.ports)
    if json:
        context.raw_stdout.write(msgspec.json.encode(report) + b"\n")
        return 0
    write_line(context.console, f"{report.out}, at {report.at:%Y-%m-%d %H:%M:%S} UTC")
    context.console.print()
    for credential in report.credentials:
        _write(credential, report, context.console)
        if forget:
            context.narrate(f"Forgotten: {credential.forgotten} lessons about {', '.join(credential.sources)}.")
    return 0


def _write(credential: CredentialQuota, report: QuotaReport, console: Console) -> None:
    under_way = f", {units.number_of(credential.open, 'request')} under way" if credential.open else ""
    named = f"{', '.join(credential.names)}, " if credential.names else ""
    head = f"{', '.join(credential.sources)}: {named}{_name(credential.credential)}{under_way}"
    write_line(console, head, "bold")
    if credential.elsewhere:
        write_line(console, "What is spent is kept on the quota server, shared with other containers.")
    if credential.paused_until is not None:
        left = units.countdown((credential.paused_until - report.at).total_seconds())
        until = f"until {_clock(credential.paused_until, report.at)}, {left} left"
        write_line(console, f"paused {until}: {credential.pause_reason}", "yellow")
    if credential.windows:
        numbers = ("limit", "used", "left")
        dispensable = ("known from", "room again", "begins anew")
        table = table_of("window", *numbers, *dispensable[1:], dispensable[0], right=numbers, dispensable=dispensable)
        for window in credential.windows:
            table.add_row(*(safe(cell) for cell in _cells(window, report.at)))
        console.print(table)
    else:
        write_line(console, "no limit is known")
    for answer in credential.told:
        write_line(console, f"told at {_clock(answer.at, report.at)}: {_says(answer, report.at)}")
    for lesson in credential.learned:
        limit = "" if lesson.limit is None else f"{units.count(lesson.limit)} {lesson.unit} "
        kind = "" if lesson.kind == "unknown" else f", {lesson.kind}"
        write_line(
            console,
            f"learned at {_clock(lesson.at, report.at)}: {limit}per {units.period(lesson.seconds)}{kind}, "
            f"from {lesson.evidence}",
        )
    console.print()


def _cells(window: WindowQuota, now: datetime) -> tuple[str, ...]:
    length = (
        "until the server's reset" if window.seconds is None else f"{window.unit} per {units.period(window.seconds)}"
    )
    amount = units.size if window.unit == "bytes" else units.count
    return (
        length,
        _limit(window, amount),
        amount(window.used),
        "?" if window.left is None else amount(window.left),
        _clock(window.frees_at, now) if window.frees_at is not None and window.used else "-",
        "-" if window.resets_at is None else _clock(window.resets_at, now),
        "the terms" if window.declared else "answers",
    )


def _name(credential: str) -> str:
    """The identity of a credential in words: its own name, or provider, host and a hash."""
    kind, _, rest = credential.partition("|")
    if kind == "name":
        return f"credential {rest}"
    host, _, mark = rest.rpartition("|")
    return f"credential {mark} of {kind} at {host}"


def _limit(window: WindowQuota, amount: Callable[[int], str]) -> str:
    """``20``; ``19 of 20`` where margin or reserve keep some of it back."""
    if window.limit is None:
        return "?"
    whole = "" if window.stated in {None, window.limit} else f" of {amount(window.stated or 0)}"
    return f"{amount(window.limit)}{whole}"


def _says(answer: TellingAnswer, now: datetime) -> str:
    """An answer's figures in words: ``limit 250, 12 left, begins anew 13:00:00``."""
    said = [
        f"{answer.unit} per {units.period(answer.seconds)}" if answer.seconds is not None else answer.name,
        f"limit {units.count(answer.limit)}" if answer.limit is not None else "",
        f"{units.count(answer.used)} used before that request" if answer.used is not None else "",
        f"{units.count(answer.remaining)} left" if answer.remaining is not None else "",
        f"begins anew {_clock(answer.resets_at, now)}" if answer.resets_at is not None else "",
    ]
    return ", ".join(part for part in said if part)


def _clock(moment: datetime, now: datetime) -> str:
    """UTC, with the date when it is another day's."""
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%Y-%m-%d %H:%M:%S}"
