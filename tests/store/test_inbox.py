"""Notices on disk: acknowledged ones outlive a crash, worked-off ones do not come back."""

from __future__ import annotations

import asyncio
import random
from pathlib import PurePosixPath

import pytest

from harvester.errors import StorageError
from harvester.model import Notice
from harvester.store import inbox as inboxes
from harvester.store.inbox import Inbox
from tests.fakes.executors import InlineExecutor
from tests.fakes.fs import MemoryFs, PowerLoss

DIRECTORY = PurePosixPath("/out/_harvester/inbox/centris")


def note(key: str | int, event: str = "", resource: str = "Property") -> Notice:
    return Notice(resource=resource, key=str(key), event=event)


def open_inbox(fs: MemoryFs) -> Inbox:
    return Inbox(fs, DIRECTORY, InlineExecutor())


def keys(notices: tuple[Notice, ...]) -> list[str]:
    return [notice.key for notice in notices]


async def test_what_was_acknowledged_is_there_after_power_is_lost() -> None:
    fs = MemoryFs()
    first = open_inbox(fs)
    await first.open()
    await first.put([note(1), note(2)])
    fs = fs.crash()
    again = open_inbox(fs)
    assert await again.open() == 2
    assert keys(again.take(10)) == ["1", "2"]


async def test_a_record_announced_many_times_is_looked_at_once_and_with_the_last_words() -> None:
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await asyncio.gather(*(inbox.put([note(7, event=str(number))]) for number in range(50)))
    taken = inbox.take(10)
    assert [(notice.key, notice.event) for notice in taken] == [("7", "49")]


async def test_one_sync_serves_all_posts_that_wait_for_it() -> None:
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(0)])
    before = fs.disk.calls["fsync"]
    await asyncio.gather(*(inbox.put([note(number)]) for number in range(1, 1000)))
    assert fs.disk.calls["fsync"] - before <= 2
    assert len(inbox) == 1000


async def test_a_notice_that_comes_while_its_record_is_fetched_is_looked_at_again() -> None:
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(7, "early")])
    taken = inbox.take(10)
    await inbox.put([note(7, "late")])
    assert inbox.take(10) == ()  # not twice at the same time
    await inbox.settle(taken)
    assert [notice.event for notice in inbox.take(10)] == ["late"]


async def test_settled_notices_do_not_come_back_and_their_segments_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inboxes, "_SEGMENT_BYTES", 200)
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    for number in range(30):
        await inbox.put([note(number)])
    segments = [name for name in fs.names(DIRECTORY) if name != "position.json"]
    assert len(segments) > 3
    await inbox.settle(inbox.take(25))
    await inbox.close()
    again = open_inbox(fs)
    assert await again.open() == 5
    assert keys(again.take(10)) == ["25", "26", "27", "28", "29"]
    assert len([name for name in fs.names(DIRECTORY) if name != "position.json"]) < 3


async def test_the_position_never_passes_a_notice_that_still_waits() -> None:
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(1), note(2), note(3)])
    one, two, three = inbox.take(3)
    await inbox.settle([three])
    inbox.give_back([one])
    await inbox.settle([two])
    fs = fs.crash()
    again = open_inbox(fs)
    await again.open()
    assert "1" in keys(again.take(10))


async def test_the_position_never_passes_a_notice_that_is_being_worked_on() -> None:
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(1), note(2), note(3)])
    taken = inbox.take(3)
    await inbox.settle(taken[2:])
    fs = fs.crash()
    again = open_inbox(fs)
    await again.open()
    assert keys(again.take(10)) == ["1", "2", "3"]


async def test_a_notice_written_but_not_yet_known_is_not_passed_either() -> None:
    """``settle`` while a post is being written: the position stays before the line under way."""
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(1)])
    taken = inbox.take(1)
    writing = asyncio.ensure_future(inbox.put([note(2)]))
    while inbox._next.line < 2:
        await asyncio.sleep(0)
    await inbox.settle(taken)
    await writing
    fs = fs.crash()
    again = open_inbox(fs)
    await again.open()
    assert keys(again.take(10)) == ["2"]


async def test_a_line_cut_by_a_crash_is_skipped_and_the_next_segment_is_new() -> None:
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(1)])
    await inbox.close()
    path = DIRECTORY / "00000001.ndjson"
    fs.replace(path, fs.read(path) + b'{"resource":"Prop')
    again = open_inbox(fs)
    assert await again.open() == 1
    await again.put([note(2)])
    await again.close()
    third = open_inbox(fs)
    await third.open()
    assert keys(third.take(10)) == ["1", "2"]


async def test_a_failed_sync_is_told_to_every_sender_and_never_repaired_by_another() -> None:
    """FAULTS F03: what a failed sync left behind cannot be trusted by a later one that succeeds."""
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(1)])
    fs.disk.fail("fsync")
    outcomes = await asyncio.gather(inbox.put([note(2)]), inbox.put([note(3)]), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StorageError, StorageError]
    with pytest.raises(StorageError):
        await inbox.put([note(4)])


async def test_an_unreadable_position_means_that_everything_left_is_looked_at_again() -> None:
    fs = MemoryFs()
    inbox = open_inbox(fs)
    await inbox.open()
    await inbox.put([note(1), note(2)])
    await inbox.settle(inbox.take(1))
    await inbox.close()
    fs.replace(DIRECTORY / "position.json", b"{")
    again = open_inbox(fs)
    await again.open()
    assert keys(again.take(10)) == ["1", "2"]


@pytest.mark.parametrize("seed", range(60))
async def test_wherever_power_is_lost_every_acknowledged_notice_is_settled_or_handed_out(seed: int) -> None:
    rng = random.Random(seed)
    fs = MemoryFs()
    acknowledged: set[str] = set()
    settled: set[str] = set()
    number = 0
    for life in range(6):
        inbox = open_inbox(fs)
        fs.disk.power = rng.randrange(5, 60)
        try:
            await inbox.open()
            for _ in range(12):
                if rng.random() < 0.6:
                    batch = [note(number + offset) for offset in range(rng.randrange(1, 4))]
                    number += len(batch)
                    await inbox.put(batch)
                    acknowledged.update(notice.key for notice in batch)
                else:
                    taken = inbox.take(rng.randrange(1, 4))
                    settled.update(notice.key for notice in taken)  # also if power is lost while this is noted
                    await inbox.settle(taken)
        except PowerLoss:
            pass
        fs.disk.power = None
        fs = fs.crash(seed * 100 + life)
    inbox = open_inbox(fs)
    await inbox.open()
    assert acknowledged - settled <= set(keys(inbox.take(10_000)))
