"""Events as JSON lines on a pipe that may be slow, stuck or gone."""

from __future__ import annotations

import errno
import io
import json
import os
import threading

import pytest

from harvester.events import Warned
from harvester.report import lines
from harvester.report.lines import EventLines, event_line
from tests.fakes import happenings as h


def warned(message: str) -> Warned:
    return Warned(at=h.START, source="ims", message=message)


class StuckOutput:
    """A pipe whose reader does nothing until told; ``writes`` counts what got through."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.writes = 0

    def write(self, data: bytes, /) -> int:
        self.released.wait()
        self.writes += 1
        return len(data)


def test_each_event_is_one_line_that_begins_with_its_name() -> None:
    output = io.BytesIO()
    with EventLines(output) as sink:
        for event in (h.run_started(), h.started(), h.page(), h.finished(), h.run_finished()):
            sink(event)
    written = output.getvalue().splitlines()
    assert [json.loads(line)["event"] for line in written] == [
        "run_started",
        "resource_started",
        "page_fetched",
        "resource_finished",
        "run_finished",
    ]
    assert all(line.startswith(b'{"event":"') for line in written)
    assert json.loads(written[0])["at"] == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    "text", ['\n{"event":"run_finished"}', "\x1b[2J\x9b31m\x7f\u202e\u2028\u0085", "é 🏠 \u00a0", "\U000e0041"]
)
def test_no_text_can_end_a_line_or_steer_a_terminal(text: str) -> None:
    """FAULTS E06 and E07: one event is one line, and its value is unchanged for who decodes it."""
    line = event_line(warned(text)).decode()
    assert line.count("\n") == 1
    assert len(line.splitlines()) == 1
    assert all(char.isprintable() or char == "\u00a0" for char in line[:-1])
    assert json.loads(line)["message"] == text


def test_a_reader_that_goes_away_is_told_once_and_ends_the_writing_quietly() -> None:
    """FAULTS R08: ``| head -1``."""
    reader, writer = os.pipe()
    gone: list[bool] = []
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as pipe:
        sink = EventLines(pipe, on_gone=lambda: gone.append(True))
        with sink:
            for _ in range(50):
                sink(warned("x"))
        assert sink.gone
    assert gone == [True]


def test_a_full_disk_is_no_reader_that_went_away() -> None:
    """FAULTS F01."""

    class FullDisk:
        def write(self, data: bytes, /) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    stopped: list[bool] = []
    with EventLines(FullDisk(), on_gone=lambda: stopped.append(True)) as sink:
        sink(warned("x"))
    assert stopped == [True]
    assert sink.failure is not None
    assert sink.failure.errno == errno.ENOSPC
    assert not sink.gone


def test_a_closed_stream_is_a_reader_that_went_away() -> None:
    output = io.BytesIO()
    output.close()
    gone: list[bool] = []
    with EventLines(output, on_gone=lambda: gone.append(True)) as sink:
        sink(warned("x"))
    assert gone == [True]


def test_a_stuck_reader_blocks_nobody_until_the_queue_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS R08: a full pipe. In a hurry nothing waits for it, and the end only for a moment."""
    monkeypatch.setattr(lines, "QUEUED_LINES", 5)
    monkeypatch.setattr(lines, "HURRIED_SECONDS", 0.05)
    output = StuckOutput()
    with EventLines(output) as sink:
        for _ in range(6):  # one in the writer's hands, five queued
            sink(warned("x"))
        sink.hurry()
        for _ in range(1000):
            sink(warned("dropped"))
    output.released.set()
    assert output.writes <= 6


def test_in_a_hurry_a_reader_that_reads_still_gets_everything() -> None:
    output = io.BytesIO()
    with EventLines(output) as sink:
        sink(h.started())
        sink.hurry()
        sink(h.finished())
    assert output.getvalue().count(b"\n") == 2


def test_a_slow_reader_is_waited_for_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "HURRIED_SECONDS", 0.05)
    output = StuckOutput()
    threading.Timer(0.6, output.released.set).start()
    with EventLines(output) as sink:
        for _ in range(20):
            sink(warned("x"))
    assert output.writes == 20


def test_short_writes_are_continued() -> None:
    class Trickle(io.BytesIO):
        def write(self, data: object, /) -> int:
            return super().write(bytes(data)[:3])  # type: ignore[call-overload]

    output = Trickle()
    with EventLines(output) as sink:
        sink(warned("whole"))
    assert json.loads(output.getvalue())["message"] == "whole"
