"""What is seen of a run while it runs: live lines for a person, JSON lines for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harvester.cli.context import Context
from harvester.contracts import Sink
from harvester.events import Event
from harvester.report.lines import EventLines
from harvester.report.progress import Progress
from harvester.report.render import console_on, write_report
from harvester.report.tally import Report, Tally


class Display:
    """A Sink that shows every event and remembers them for the closing table."""

    def __init__(self, shown: Sink, lines: EventLines | None) -> None:
        self.tally = Tally()
        self._shown = shown
        self._lines = lines

    def __call__(self, event: Event) -> None:
        self.tally(event)
        self._shown(event)

    @property
    def reader_gone(self) -> bool:
        """Whether JSON lines were written and their reader went away."""
        return self._lines is not None and self._lines.gone

    def hurry(self) -> None:
        """The run is to end soon: a slow reader is not waited for any more."""
        if self._lines is not None:
            self._lines.hurry()


@contextmanager
def displaying(context: Context, *, as_json: bool, on_gone: Callable[[], None]) -> Iterator[Display]:
    """Show events within the block.

    Args:
        on_gone: called from another thread when the reader of the JSON lines has gone away.
    """
    if as_json or not context.for_a_person:
        with EventLines(context.raw_stdout, on_gone=on_gone) as lines:
            yield Display(lines, lines)
    else:
        with Progress(context.console, context.ports.clock) as progress:
            yield Display(progress, None)


def close_display(context: Context, report: Report, *, as_json: bool, always: bool) -> None:
    """The closing table: for a person on the terminal; else on standard error, if something is wrong or *always*."""
    if context.for_a_person and not as_json:
        write_report(report, context.console)
    elif report.exit_status or always:
        write_report(report, console_on(context.stderr))
