"""Contexts for commands: streams that remember, as a terminal or as a pipe."""

from __future__ import annotations

import io
from dataclasses import dataclass, field, replace

from harvester.api.ports import Ports
from harvester.cli.calls import REAL, Api
from harvester.cli.context import Context
from harvester.contracts import Fs
from tests.fakes.clock import FakeClock
from tests.fakes.given_files import GivenFiles


class Stream(io.StringIO):
    """A text stream that may be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@dataclass
class Screen:
    """A context and what it wrote."""

    context: Context
    stdout: Stream
    stderr: Stream
    raw: io.BytesIO = field(default_factory=io.BytesIO)


def screen(*, terminal: bool = False, api: Api = REAL, fs: Fs | None = None) -> Screen:
    stdout, stderr, raw = Stream(terminal=terminal), Stream(terminal=terminal), io.BytesIO()
    ports = Ports(clock=FakeClock(), fs=fs or GivenFiles(), environment={})
    return Screen(Context(api=api, stdout=stdout, stderr=stderr, raw_stdout=raw, ports=ports), stdout, stderr, raw)


def with_run(run: object) -> Api:
    """The API with another ``run``."""
    return replace(REAL, run=run)  # type: ignore[arg-type]
