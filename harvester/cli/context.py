"""What a command works with: the streams of the process, the ports, and the API it calls."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any, TextIO

from cyclopts import Parameter
from rich.console import Console

from harvester.api.ports import Ports
from harvester.cli.calls import REAL, Api
from harvester.cli.descriptors import fill_closed_descriptors
from harvester.report.lines import RawOutput
from harvester.report.render import console_on, write_line

if TYPE_CHECKING:
    from harvester.api.configuration import Config


@dataclass(frozen=True, kw_only=True)
class Context:
    """One invocation. Commands take it as their last argument; tests give their own."""

    stdout: TextIO
    stderr: TextIO
    raw_stdout: RawOutput  # unbuffered, for JSON lines
    api: Api = REAL
    ports: Ports = field(default_factory=Ports)
    debug: bool = False

    @property
    def for_a_person(self) -> bool:
        """Whether standard output is a terminal. If not, it gets JSON lines and nothing else."""
        return self.stdout.isatty()

    @property
    def console(self) -> Console:
        """Where results for a person go."""
        return console_on(self.stdout)

    @property
    def narration(self) -> Console:
        """Where a person is told what happens: the terminal, or standard error where the output is for a program."""
        return console_on(self.stdout if self.for_a_person else self.stderr)

    def settings(self, config: Path | None, overrides: Sequence[str] | None, out: str | None) -> Config:
        """The configuration in the file *config*, under what ``--set`` and ``--out`` say."""
        given = [*(overrides or ()), *([f"out={out}"] if out is not None else ())]
        return self.api.load_config(as_path(config), overrides=given, ports=self.ports)

    def narrate(self, text: str, style: str = "") -> None:
        """Tell a person what happens, in one line that is never broken."""
        write_line(self.narration, text, style)


Given = Annotated[Context, Parameter(parse=False)]
"""The type of a command's ``context`` parameter: given by ``main``, not read from the command line."""


class _Nowhere(io.RawIOBase):
    """Stands in for a stream that was closed before the start (FAULTS R08)."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        return len(data)


def process_context() -> Context:
    """The context of this process. Streams that were closed are replaced by ones that take everything."""
    fill_closed_descriptors()
    stdout: TextIO = sys.stdout or _nowhere()
    stderr: TextIO = sys.stderr or _nowhere()
    raw: Any = stdout.buffer
    return Context(stdout=stdout, stderr=stderr, raw_stdout=getattr(raw, "raw", raw))


def _nowhere() -> TextIO:
    return io.TextIOWrapper(_Nowhere(), encoding="utf-8", write_through=True)  # type: ignore[type-var]


def as_path(path: Path | None) -> PurePath | None:
    """A path of the command line as the ports take it."""
    return None if path is None else PurePath(path)
