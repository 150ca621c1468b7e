"""Notices become looks, and looks become runs that add to a replica without ever making it older."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import msgspec
import pytest
from msgspec import structs

from harvester.api.ports import Ports
from harvester.api.status import status
from harvester.engine.looks import ways_to_look
from harvester.engine.push_desk import Pace, Turn
from harvester.engine.pushing import Pusher
from harvester.engine.source import Source
from harvester.engine.state import grounded, load_state
from harvester.engine.views import remember
from harvester.errors import (
    ConnectionFailed,
    CredentialsRefused,
    HarvesterError,
    QuotaExhausted,
)
from harvester.events import Pushed, SourceFailed, Warned
from harvester.model import Notice, Phase
from harvester.pagers.by_key import EntityByKey
from harvester.planning.delta import standing_of
from harvester.store import layout
from harvester.store.current import CurrentRun, begin_current
from harvester.store.inbox import Inbox
from harvester.store.key_table import KeyTable
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import find_runs
from harvester.store.verify import verify_tree
from tests.fakes.executors import InlineExecutor
from tests.fakes.lake_bench import PATIENCE, Bench
from tests.fakes.lake_server import Row
from tests.fakes.lakeside import PROVIDER
from tests.fakes.swept_lake import BY_KEY, harvested, remove, rows, tombstones, view

ONE_BY_ONE = replace(PROVIDER, fetchers={"by_entity": EntityByKey()})
LATER = "2026-03-02T10:00:00Z"


@asynccontextmanager
async def always(names: Sequence[str], *, last: bool) -> AsyncIterator[bool]:
    yield True


@asynccontextmanager
async def never(names: Sequence[str], *, last: bool) -> AsyncIterator[bool]:
    yield False


class Push:
    """An inbox of the lake and who works it off."""

    def __init__(self, bench: Bench, pace: Pace | None = None) -> None:
        self.bench = bench
        self.executor = InlineExecutor()
        self.pace = pace or Pace()
        self.inbox = Inbox(bench.fs, layout.inbox_directory(bench.out, "lake"), self.executor)
        self.turn: Turn = always
        self.resources: tuple[str, ...] = ("Property",)
        self.shared: Source | None = None  # in the place of the bench's

    async def hear(self, *keys: str, resource: str = "Property") -> None:
        now = self.bench.clock.now()
        await self.inbox.put([Notice(resource=resource, key=key, at=now) for key in keys])

    def pusher(self) -> Pusher:
        bench = self.bench
        source = self.shared or bench.source(*self.resources)
        return Pusher(source, bench.site(self.executor), self.inbox, self.turn, self.pace)

    async def drain(self) -> Pusher:
        """Work off everything that can be, as fast as the virtual clock allows."""
        pusher = self.pusher()
        await passing(self.bench, lambda: pusher.run(drain=True))
        return pusher


async def passing(bench: Bench, work: Callable[[], object]) -> None:
    """Let virtual time pass until *work* has ended."""
    ended = anyio.Event()
    failures: list[HarvesterError] = []

    async def run() -> None:
        try:
            await work()  # type: ignore[misc]
        except HarvesterError as error:
            failures.append(error)
        ended.set()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            while not ended.is_set():
                for _ in range(60):
                    await anyio.lowlevel.checkpoint()
                due = bench.clock.next_due()
                if due is not None and not ended.is_set():
                    bench.clock.advance(due + 0.001)
    if failures:
        raise failures[0]


async def ready(out: Path) -> Push:
    bench = await harvested(out)
    bench.provider = ONE_BY_ONE
    bench.mode = "delta"
    push = Push(bench)
    await push.inbox.open()
    return push


def change(bench: Bench, key: str, at: str = LATER, **members: object) -> None:
    row = next(row for row in rows(bench) if row["ListingKey"] == key)
    row |= {"ModificationTimestamp": at, **members}


def truth(bench: Bench) -> list[Row]:
    return sorted(rows(bench), key=lambda row: str(row["ListingKey"]))


def some(bench: Bench, number: int) -> list[str]:
    return [str(row["ListingKey"]) for row in truth(bench)[:number]]


def pushed(bench: Bench) -> list[Manifest]:
    found = [read_manifest(bench.fs, run.path) for run in find_runs(bench.fs, bench.out, "lake", "Property")]
    return [manifest for manifest in found if manifest is not None and manifest.mode == Phase.PUSH]


def warnings(bench: Bench) -> list[str]:
    return [event.message for event in bench.events if isinstance(event, Warned)]


async def test_a_record_that_is_announced_is_asked_for_once_and_is_in_the_view(out: Path) -> None:
    """FAULTS W04: the notice says only where to look; doubled ones cost nothing."""
    push = await ready(out)
    bench = push.bench
    key = some(bench, 1)[0]
    change(bench, key, Price=7)
    for _ in range(5):
        await push.hear(key)
    await push.drain()
    assert [url for url in bench.server.asked if key in url] == bench.server.asked
    assert len(bench.server.asked) == 1
    assert view(bench) == truth(bench)
    assert len(push.inbox) == 0
    (manifest,) = pushed(bench)
    assert (manifest.records, manifest.requests, manifest.watermark, manifest.tombstones) == (1, 1, None, 0)


async def test_a_run_of_what_was_pushed_is_verified_like_any_other_and_moves_nothing(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    keys = some(bench, 30)
    for key in keys[:20]:
        change(bench, key)
    before = standing_of([bench.manifest("Property")])
    remove(bench, *keys[20:])
    await push.hear(*keys)
    await push.drain()
    assert all(verdict.matches for verdict in verify_tree(bench.fs, bench.out))
    manifests = [read_manifest(bench.fs, run.path) for run in find_runs(bench.fs, bench.out, "lake", "Property")]
    assert standing_of([manifest for manifest in manifests if manifest is not None]) == before
    told = [event for event in bench.events if isinstance(event, Pushed)]
    assert (sum(each.records for each in told), sum(each.gone for each in told)) == (20, 10)
    (row,) = status(bench.out, ports=Ports(fs=bench.fs)).resources
    assert (row.mode, row.pushed is not None) == ("full", True)
    assert view(bench) == truth(bench)


async def test_a_record_that_is_not_there_is_looked_at_twice_before_it_is_buried(out: Path) -> None:
    """FAULTS W04: its notice may come before the record can be seen."""
    push = await ready(out)
    bench = push.bench
    gone, slow = some(bench, 2)
    bench.server.hidden = lambda url: {slow} if bench.server.asked.count(url) == 1 else ()
    remove(bench, gone)
    await push.hear(gone, slow)
    began = bench.clock.monotonic()
    await push.drain()
    assert [row["key"] for row in tombstones(bench)] == [{"ListingKey": gone}]
    assert len(bench.server.asked) == 4
    assert bench.clock.monotonic() - began >= push.pace.confirm
    assert view(bench) == truth(bench)


async def test_a_deleted_record_that_is_made_anew_comes_back(out: Path) -> None:
    """FAULTS T12: the later run counts, whatever the earlier ones buried."""
    push = await ready(out)
    bench = push.bench
    row = truth(bench)[0]
    key = str(row["ListingKey"])
    remove(bench, key)
    await push.hear(key)
    await push.drain()
    assert key not in {str(each["ListingKey"]) for each in view(bench)}
    rows(bench).append({**row, "ModificationTimestamp": LATER})
    await push.hear(key)
    await push.drain()
    assert view(bench) == truth(bench)


async def test_an_older_version_than_the_one_held_is_no_news(out: Path) -> None:
    """FAULTS W04: a server that lags behind the one that answered the delta takes nothing back."""
    push = await ready(out)
    bench = push.bench
    key = some(bench, 1)[0]
    old = dict(next(row for row in rows(bench) if row["ListingKey"] == key))
    change(bench, key, Price=2)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    fresh = [dict(row) for row in truth(bench)]
    next(row for row in rows(bench) if row["ListingKey"] == key).update(old)
    await push.hear(key)
    await push.drain()
    assert len(pushed(bench)) == 1
    assert view(bench) == fresh
    runs = [(run.path, read_manifest(bench.fs, run.path)) for run in find_runs(bench.fs, bench.out, "lake", "Property")]
    with KeyTable(bench.fs, None) as table:
        resource = bench.provider.resources[0]
        load_state(bench.fs, grounded([(p, m) for p, m in runs if m is not None]), resource, {None}, table)
        assert LATER.encode() in {time for _, _, time in table.rows()}, "a sweep must see what the view shows"


async def test_what_another_run_brought_meanwhile_is_asked_for_again(out: Path) -> None:
    """A look is as old as its request: what a delta has read since then may be newer, with the same time or none."""
    push = await ready(out)
    bench = push.bench
    key = some(bench, 1)[0]
    change(bench, key, Price=1)
    meanwhile = 0

    @asynccontextmanager
    async def turn(names: Sequence[str], *, last: bool) -> AsyncIterator[bool]:
        nonlocal meanwhile
        meanwhile += 1
        if meanwhile == 1:
            change(bench, key, Price=2)  # within the resolution of its time
            assert (await bench.run("Property"))["Property"].verdict == "complete"
        yield True

    push.turn = turn
    await push.inbox.put([Notice(resource="Property", key=key)])  # nobody knows when it was received
    bench.server.asked.clear()
    await push.drain()
    assert len([url for url in bench.server.asked if f"('{key}')" in url]) == 2
    assert view(bench) == truth(bench)
    assert len(pushed(bench)) == 1


@pytest.mark.parametrize("broken_off", ["run", "note"])
async def test_while_a_run_is_broken_off_its_notices_wait(out: Path, broken_off: str) -> None:
    """Gone on with, it would read newer versions and lie below what was pushed."""
    push = await ready(out)
    bench = push.bench
    key = some(bench, 1)[0]
    change(bench, key)
    directory = out / "source=lake" / "resource=Property" / "run=20260302T110000Z"
    if broken_off == "run":
        bench.fs.make_directory(directory)
    else:
        note = CurrentRun(run="20260302T110000Z", provider="lakeside", mode="full", resources=("Property",))
        begin_current(bench.fs, out, "lake", note)
    await push.hear(key)
    await push.drain()
    assert bench.server.asked == []
    assert len(push.inbox) == 1
    assert ("broken off" if broken_off == "run" else "come to its end") in warnings(bench)[0]
    if broken_off == "run":
        bench.fs.remove_tree(directory)
    else:
        assert (await bench.run("Property"))["Property"].verdict == "complete"
    await push.drain()
    assert view(bench) == truth(bench)


async def test_without_a_complete_full_run_nothing_is_asked_for(out: Path) -> None:
    """A push begins no replica, and makes none look complete."""
    push = await ready(out)
    bench = push.bench
    bench.fingerprints["Property"] = "other settings"
    await push.hear(*some(bench, 3))
    pusher = await push.drain()
    assert bench.server.asked == []
    assert len(push.inbox) == 3
    assert "no full run" in pusher.stalled["Property"]
    assert not pushed(bench)


async def test_credentials_that_were_not_compared_lately_ask_for_nothing(out: Path) -> None:
    """One that sees less would be told that a record is not there, and it would be buried."""
    push = await ready(out)
    bench, source = push.bench, replace(push.bench.source("Property"), credentials=("one", "two"), viewers="both")
    key = some(bench, 1)[0]
    change(bench, key, Price=7)
    await push.hear(key)
    push.shared = source
    pusher = await push.drain()
    assert bench.server.asked == []
    assert len(push.inbox) == 1
    assert "have not been compared" in pusher.stalled["Property"]
    assert any("notices of Property wait" in message for message in warnings(bench))
    remember(bench.fs, bench.out, source, source.blueprints[0].resource, bench.clock.now())
    push.shared = replace(source, viewers="both and a third")
    await push.drain()
    assert bench.server.asked == [], "another set of them has agreed"
    push.shared = source
    await push.drain()
    assert len(push.inbox) == 0
    assert view(bench) == truth(bench)
    bench.clock.advance(8 * 86_400)
    await push.hear(key)
    await push.drain()
    assert len(push.inbox) == 1, "and that was not lately"


async def test_notices_of_what_is_not_configured_do_not_stay(out: Path) -> None:
    push = await ready(out)
    await push.hear("1", "2", resource="Unknown")
    await push.drain()
    assert len(push.inbox) == 0
    assert push.bench.server.asked == []


async def test_an_outage_pauses_everything_and_loses_nothing(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    keys = some(bench, 10)
    for key in keys:
        change(bench, key)
    bench.server.before = lambda number, url: ConnectionFailed("refused") if number < 6 else None
    await push.hear(*keys)
    await push.drain()
    assert len(push.inbox) > 0  # a drain does not wait for a server that is down
    await push.drain()
    await push.drain()
    assert view(bench) == truth(bench)
    assert len(push.inbox) == 0


async def test_a_spent_quota_ends_a_drain_with_the_rest_in_the_inbox(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    bench.server.before = lambda number, url: QuotaExhausted("later") if number >= 4 else None
    await push.hear(*some(bench, 30))
    await push.drain()
    assert sum(manifest.records for manifest in pushed(bench)) + len(push.inbox) == 30
    assert 0 < len(push.inbox) < 30


async def test_a_record_whose_answers_cannot_be_used_is_given_up_and_holds_up_nobody(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    bad, good = some(bench, 2)
    change(bench, good)
    bench.server.body = lambda number, body: b"<html>" if bad in bench.server.asked[number] else body
    await push.hear(bad, good)
    pusher = await push.drain()
    assert pusher.dropped == 1
    assert len(push.inbox) == 0
    assert any("given up" in message for message in warnings(bench))
    assert view(bench) == truth(bench)


async def test_a_refused_credential_ends_it_with_everything_kept(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    bench.server.before = lambda number, url: CredentialsRefused("no")
    await push.hear(*some(bench, 20))
    pusher = await push.drain()
    assert isinstance(pusher.refused, CredentialsRefused)
    assert len(push.inbox) == 20
    assert len([event for event in bench.events if isinstance(event, SourceFailed)]) == 1


async def test_asked_to_stop_it_writes_what_has_come(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    keys = some(bench, 40)
    for key in keys:
        change(bench, key)

    def before(number: int, url: str) -> HarvesterError | None:
        if number == 20:
            bench.stop.set()
        return None

    bench.server.before = before
    await push.hear(*keys)
    await passing(bench, lambda: push.pusher().run())
    written = sum(manifest.records for manifest in pushed(bench))
    assert 15 <= written <= 20 + bench.source("Property").workers
    assert written + len(push.inbox) == 40


async def test_without_its_turn_nothing_is_written_and_nothing_lost(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    push.turn = never
    key = some(bench, 1)[0]
    change(bench, key)

    def before(number: int, url: str) -> HarvesterError | None:
        bench.stop.set()
        return None

    bench.server.before = before
    await push.hear(key)
    await passing(bench, lambda: push.pusher().run())
    assert not pushed(bench)
    again = Push(bench)
    assert await again.inbox.open() == 1


async def test_many_are_asked_for_with_one_request_and_what_does_not_come_is_asked_for_alone(out: Path) -> None:
    """That an answer leaves out one of many may have another reason than that there is none."""
    push = await ready(out)
    bench = push.bench
    bench.provider = BY_KEY
    keys = some(bench, 60)
    for key in keys[1:]:
        change(bench, key)
    remove(bench, keys[0])
    await push.hear(*keys)
    await push.drain()
    assert len([url for url in bench.server.asked if "$filter" in url]) <= 8
    assert [url for url in bench.server.asked if f"('{keys[0]}')" in url]
    assert [row["key"] for row in tombstones(bench)] == [{"ListingKey": keys[0]}]
    assert view(bench) == truth(bench)


async def test_a_server_that_ignores_the_filter_is_asked_one_by_one(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    bench.provider = BY_KEY
    bench.server.ignores_filter = True
    keys = some(bench, 7)
    for key in keys:
        change(bench, key)
    await push.hear(*keys)
    await push.drain()
    assert view(bench) == truth(bench)
    assert len(push.inbox) == 0


async def test_a_delta_and_a_sweep_after_a_push_end_at_the_truth(out: Path) -> None:
    """FAULTS W04: lost, doubled and early notices; polling makes the state right."""
    push = await ready(out)
    bench = push.bench
    keys = some(bench, 30)
    for key in keys[:10]:
        change(bench, key, Price=1)
    remove(bench, *keys[10:20])
    await push.hear(*keys[:5], *keys[10:15], *keys[:5])  # the others are lost
    await push.drain()
    for mode in ("delta", "sweep"):
        bench.mode = mode
        assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert view(bench) == truth(bench)
    assert sorted({str(msgspec.json.encode(row["key"])) for row in tombstones(bench)}) == sorted(
        str(msgspec.json.encode({"ListingKey": key})) for key in keys[10:20]
    )
    assert all(verdict.matches for verdict in verify_tree(bench.fs, bench.out))


async def test_what_a_delta_has_brought_since_it_was_announced_is_not_asked_for_again(out: Path) -> None:
    """A burst of changes costs a delta a few pages; what it cannot see, as deletions, is still asked for."""
    push = await ready(out)
    bench = push.bench
    keys = some(bench, 40)
    for key in keys[:30]:
        change(bench, key)
    remove(bench, *keys[30:32])
    await push.hear(*keys[:20], *keys[30:32])
    bench.clock.advance(5)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    bench.clock.advance(5)
    change(bench, keys[25], Price=9)
    await push.hear(keys[25])  # after the delta began
    bench.server.asked.clear()
    pusher = await push.drain()
    assert pusher.spared == 20
    assert sorted({url.partition("'")[2].partition("'")[0] for url in bench.server.asked}) == [
        keys[25],
        keys[30],
        keys[31],
    ]
    assert view(bench) == truth(bench)
    assert len(push.inbox) == 0


async def test_a_resource_whose_notices_wait_holds_up_no_other(out: Path) -> None:
    push = await ready(out)
    bench = push.bench
    bench.server.tables["Office"] = [{"OfficeKey": str(number)} for number in range(5)]
    bench.mode = "full"
    assert (await bench.run("Office"))["Office"].verdict == "complete"
    bench.fs.make_directory(out / "source=lake" / "resource=Office" / "run=20990101T000000Z")
    push.resources = ("Office", "Property")
    keys = some(bench, 5)
    for key in keys:
        change(bench, key)
    await push.hear("1", "2", resource="Office")
    await push.hear(*keys)
    await push.drain()
    assert view(bench) == truth(bench)
    assert [event.resource for event in bench.events if isinstance(event, Pushed)] == ["Property"]
    assert len(push.inbox) == 2


async def test_large_records_make_runs_of_few(out: Path) -> None:
    """Memory is bounded by bytes, not by records."""
    push = await ready(out)
    bench = push.bench
    keys = some(bench, 40)
    for key in keys:
        change(bench, key, Remarks="x" * 10_000)
    push.pace = Pace(bytes=50_000)
    await push.hear(*keys)
    await push.drain()
    assert view(bench) == truth(bench)
    assert max(manifest.records for manifest in pushed(bench)) <= 15


async def test_what_is_read_once_in_each_language_is_left_to_deltas(out: Path) -> None:
    push = await ready(out)
    source = push.bench.source("Property")
    blueprint = source.blueprints[0]
    (walk,) = blueprint.walks(None, push.bench.clock.now())
    french = replace(blueprint, walks=lambda values, now: (structs.replace(walk, value="fr"),))
    assert ways_to_look(source, french, push.bench.clock.now()) == (
        (),
        "it is read more than once, in several languages",
    )
    filtered = replace(blueprint, walks=lambda values, now: (structs.replace(walk, filter="Price gt 1"),))
    assert "filter" in ways_to_look(source, filtered, push.bench.clock.now())[1]


async def test_a_directory_that_changes_while_it_is_read_is_read_again(out: Path) -> None:
    """``compact`` in another process moves runs; only with its turn may a failure end anything."""
    push = await ready(out)
    bench = push.bench
    key = some(bench, 1)[0]
    change(bench, key)
    manifest = bench.runs("Property")[0] / "_manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(b"{}")
    await push.hear(key)
    pusher = push.pusher()

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pusher.run)
            await bench.until(lambda: bool(pusher.stalled))
            manifest.write_bytes(whole)
            await bench.until(lambda: pusher.records == 1)
            bench.stop.set()

    await passing(bench, work)
    assert view(bench) == truth(bench)


async def test_posts_are_answered_first_but_do_not_hold_up_the_rest_for_ever(out: Path) -> None:
    """Centris contract, section 9: answer quickly and fetch later. What is announced again meanwhile costs nothing."""
    push = await ready(out)
    bench = push.bench
    pusher = push.pusher()
    keys = some(bench, 20)
    asked: list[tuple[float, int]] = []

    async def work() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pusher.run)
            began = bench.clock.monotonic()
            while bench.clock.monotonic() - began < 2 * push.pace.seconds:
                await push.hear(*keys)
                pusher.announce()
                asked.append((bench.clock.monotonic() - began, len(bench.server.asked)))
                await bench.clock.sleep(0.1)
            bench.stop.set()

    await passing(bench, work)
    assert all(number == 0 for at, number in asked if at < push.pace.seconds)
    assert asked[-1][1] >= 20
