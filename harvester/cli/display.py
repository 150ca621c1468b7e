"""What is seen of a run while it runs: live lines for a person, JSON lines for a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from msgspec import structs

from harvester.cli.context import Context
from harvester.contracts import Sink
from harvester.events import Event, RunFinished
from harvester.report.lines import EventLines
from harvester.report.progress import Progress
from harvester.report.render import console_on, write_report
from harvester.report.tally import Report


class Display:
    """A Sink that shows every event."""

    def __init__(self, shown: Sink, lines: EventLines | None) -> None:
        self.status_of: Callable[[int], int] = lambda status: status
        """The status the process will end with, from the one that the run gives: only the command knows the signal."""
        self._shown = shown
        self._lines = lines

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunFinished):
            event = structs.replace(event, exit_status=self.status_of(event.exit_status))
        self._shown(event)

    @property
    def reader_gone(self) -> bool:
        """Whether JSON lines were written and their reader went away."""
        return self._lines is not None and self._lines.gone

    @property
    def failure(self) -> OSError | None:
        """Why JSON lines cannot be written, though somebody may want them; None: they can."""
        return None if self._lines is None else self._lines.failure

    def hurry(self) -> None:
        """The run is to end soon: a slow reader is not waited for any more."""
        if self._lines is not None:
            self._lines.hurry()


@contextmanager
def displaying(
    context: Context,
    *,
    as_json: bool,
    on_gone: Callable[[], None],
    live: Callable[[], AbstractContextManager[Sink]] | None = None,
) -> Iterator[Display]:
    """Show events within the block.

    Args:
        on_gone: called from another thread when the JSON lines cannot be written any more.
        live: makes what a person sees; None: the progress of one run.
    """
    if as_json or not context.for_a_person:
        with EventLines(context.raw_stdout, on_gone=on_gone) as lines:
            yield Display(lines, lines)
    else:
        with live() if live is not None else Progress(context.console, context.ports.clock) as shown:
            yield Display(shown, None)


def close_display(context: Context, report: Report, *, as_json: bool, always: bool) -> None:
    """The closing table: for a person on the terminal; else on standard error, if something is wrong or *always*."""
    if context.for_a_person and not as_json:
        write_report(report, context.console)
    elif report.exit_status or always:
        write_report(report, console_on(context.stderr))
