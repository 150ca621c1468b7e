"""Works off the inbox of one source: looks at each record that was announced, and writes what came as runs.

A notice stays in the inbox until what came of it is in a run. A record that is not there is looked at twice, some time
apart, before it is taken for deleted: its notice may have come before it can be seen (FAULTS W04).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

import anyio
from msgspec import structs

from harvester.contracts import Transport
from harvester.engine.looks import Look, look_at, ways_to_look
from harvester.engine.push_desk import Desk, Kept, Pace, Turn
from harvester.engine.push_run import Around, Ground, write_push
from harvester.engine.site import Site
from harvester.engine.source import Source
from harvester.engine.stopping import unless_stopped
from harvester.engine.views import have_agreed
from harvester.errors import (
    CredentialsRefused,
    FilterIgnored,
    GiveUpError,
    HarvesterError,
    Locked,
    ResourceRefused,
    StorageError,
    WaitError,
)
from harvester.events import Event, Pushed, Requested, SourceFailed, Warned
from harvester.model import Notice, Walk
from harvester.store.inbox import Inbox

T = TypeVar("T")


_QUIET = 0.2  # seconds without a post that are a pause
_LOOK_AROUND = 2.0  # seconds between two looks at what runs there are, while there is work
_TELL_AFTER = 60.0  # seconds for which notices wait for a run before anybody is told
_LONGEST_PAUSE = 300.0  # seconds for which a server that fails is left alone, at most
_REFUSED_PAUSE = 600.0  # seconds for which a resource that is refused is
_TRIES = 5  # looks at a record whose answers cannot be used; then a delta or a sweep must bring it


class Pusher:
    """Keeps one source current by what is in its inbox.

    Args:
        site: its ``stop`` ends it in good order: what has come is written, all else stays in the inbox.
        turn: whose turn it is to write.
    """

    def __init__(self, source: Source, site: Site, inbox: Inbox, turn: Turn, pace: Pace) -> None:
        self._source, self._site, self._inbox, self._turn, self._pace = source, site, inbox, turn, pace
        self._desks: dict[str, Desk] = {}
        self.unasked: dict[str, str] = {}  # resources whose records cannot be asked for by key, and why
        for blueprint in source.blueprints:
            ways, reason = ways_to_look(source, blueprint, site.clock.now())
            name = blueprint.resource.name
            if not ways:
                self.unasked[name] = reason
                continue
            ground = Ground(site.fs, site.out, source.name, blueprint)
            self._desks[name] = Desk(blueprint=blueprint, ways=ways, ground=ground, transport=self._counting(name))
        self.refused: HarvesterError | None = None  # why nothing is asked any more
        self.looked_at: datetime | None = None  # when the last answer came, aware UTC
        self.records = self.gone = self.dropped = 0  # written, buried, given up
        self.spared = 0  # that a delta or a sweep has brought
        self._drains = False
        self._paused = -math.inf  # nothing is asked before
        self._announced = self._burst = -math.inf  # last post, and the first of those that came without a pause
        self._failures = 0  # in a row
        self._hopeless: list[Notice] = []  # to be given up
        self._missing: set[tuple[str, str]] = set()  # not there at the first look
        self._tries: dict[tuple[str, str], int] = {}
        self._news = anyio.Event()  # replaced whenever it is set
        self._ending = anyio.Event()

    @property
    def resources(self) -> frozenset[str]:
        """Those whose records can be asked for."""
        return frozenset(self._desks)

    @property
    def stalled(self) -> dict[str, str]:
        """Resources whose notices wait, and for what."""
        return {desk.name: desk.around.reason for desk in self._desks.values() if desk.around and desk.around.reason}

    @property
    def kept(self) -> int:
        """Records that have come and are in no run yet."""
        return sum(len(desk.kept) for desk in self._desks.values())

    def announce(self) -> None:
        """Posts have come: while they do, they are answered first, and records are asked for once they pause."""
        now = self._site.clock.monotonic()
        if now - self._announced >= _QUIET:
            self._burst = now
        self._announced = now
        self.hear()

    def hear(self) -> None:
        """There is something new to look at."""
        news, self._news = self._news, anyio.Event()
        news.set()

    async def run(self, *, drain: bool = False) -> None:
        """Work until the site stops, or the credential is refused; *drain*: or until nothing more can be done.

        Raises:
            StorageError: a run could not be written; its notices are still in the inbox.
        """
        self._drains = drain
        await self._clear()
        failures: list[HarvesterError] = []
        async with anyio.create_task_group() as tasks:

            async def end_with(work: Callable[[], Awaitable[None]]) -> None:
                try:
                    await work()
                except HarvesterError as error:
                    failures.append(error)
                    self._end()

            tasks.start_soon(self._watch)
            for _ in range(self._source.workers):
                tasks.start_soon(end_with, self._work)
            for desk in self._desks.values():
                tasks.start_soon(end_with, partial(self._write, desk))
            tasks.start_soon(end_with, self._keep_house)
            await self._ending.wait()
            tasks.cancel_scope.cancel()
        if not failures:
            with anyio.CancelScope(shield=True):
                for desk in self._desks.values():
                    await self._seal(desk, last=True)
        if failures:
            raise failures[0]

    def _end(self) -> None:
        self._ending.set()
        self.hear()

    async def _watch(self) -> None:
        await self._site.stop.wait()
        self._end()

    async def _clear(self) -> None:
        """Notices of resources that are not configured any more, or cannot be asked for: deltas bring them."""
        for name in self._inbox.resources:
            if name not in self._desks:
                await self._inbox.settle(self._inbox.take(self._inbox.waiting(name), name))

    # -------------------------------------------------------------- looking

    async def _work(self) -> None:
        while not self._ending.is_set():
            news = self._news
            batch = await self._next()
            if batch is None:
                await self._wait(news, self._until_due())
                continue
            await self._look(*batch)

    async def _next(self) -> tuple[Desk, tuple[Notice, ...], Walk] | None:
        """The next records to look at; None: there is nothing to do now."""
        now = self._site.clock.monotonic()
        if self._site.stop.is_set() or max(self._paused, self._calm_at()) > now:
            return None
        for desk in self._desks.values():
            full = len(desk.kept) >= 2 * self._pace.records or desk.size >= 2 * self._pace.bytes
            if self._is_open(desk) and not full and (self._inbox.waiting(desk.name) or desk.has_again(now)):
                around = await self._around(desk)
                if around.reason:
                    desk.paused = self._site.clock.monotonic() + _LOOK_AROUND
                    self._tell_stalled(desk, around)
                    self.hear()  # a drain need not wait for it
                    continue
                desk.told, desk.stalled_since = "", 0.0
                notices, walk = self._take(desk)
                if notices:
                    return desk, notices, walk
        return None

    def _take(self, desk: Desk) -> tuple[tuple[Notice, ...], Walk]:
        """What to ask for next, and how: one whose time has come again, else the oldest that wait.

        The former alone and in the way that is left when others fail: that an answer leaves out one of many records
        may have another reason than that there is none.
        """
        again = desk.next_again(self._site.clock.monotonic())
        if again is not None:
            return (again,), desk.ways[-1]
        most = getattr(self._source.provider.pager(desk.ways[0].pager), "most", 1)
        return self._inbox.take(most, desk.name), desk.ways[0]

    def _calm_at(self) -> float:
        """When posts have paused, or have come for so long that nothing can wait for them."""
        return min(self._announced + _QUIET, self._burst + self._pace.seconds)

    def _is_open(self, desk: Desk) -> bool:
        return desk.paused <= self._site.clock.monotonic()

    async def _look(self, desk: Desk, notices: Sequence[Notice], walk: Walk) -> None:
        clock, around = self._site.clock, desk.around
        keys = tuple((notice.key,) for notice in notices)
        began, desk.looking = clock.now(), desk.looking + 1
        try:
            looks = await look_at(self._source, desk.transport, clock, structs.replace(walk, keys=keys))
        except (StorageError, Locked):
            self._inbox.give_back(notices)
            raise
        except HarvesterError as error:
            self._fail(desk, notices, walk, error)
        except BaseException:
            self._inbox.give_back(notices)
            raise
        else:
            self._failures, self.looked_at = 0, clock.now()
            below = around.finished if around is not None else frozenset()
            for look, notice in zip(looks, notices, strict=True):
                self._keep(desk, look, notice, walk, below, began)
        finally:
            desk.looking -= 1
            self.hear()

    def _keep(self, desk: Desk, look: Look, notice: Notice, walk: Walk, below: frozenset[str], began: datetime) -> None:
        record = notice.resource, notice.key
        self._tries.pop(record, None)
        if look.record is not None:
            self._missing.discard(record)
            desk.answers.add(walk.pager)
        elif record not in self._missing:
            self._missing.add(record)
            desk.put_off(notice, self._site.clock.monotonic() + self._pace.confirm)
            return
        elif self._source.provider.probed and walk.pager not in desk.answers:
            # No contract says that this server can be asked in this way at all.
            self._hopeless.append(notice)
            return
        if not desk.kept:
            desk.first, desk.began = self._site.clock.monotonic(), began
        desk.kept[notice.key] = Kept(look, notice, below)
        desk.size += look.size

    def _fail(self, desk: Desk, notices: Sequence[Notice], walk: Walk, error: HarvesterError) -> None:
        """*error* came instead of *notices*' records: who is left alone, and for how long."""
        now = self._site.clock.monotonic()
        match error:
            case CredentialsRefused():
                if self.refused is None:
                    self.refused = error
                    at = self._site.clock.now()
                    self._site.sink(SourceFailed(at=at, source=self._source.name, reason=str(error)))
                self._end()
            case FilterIgnored() | ResourceRefused() if len(desk.ways) > 1 and walk == desk.ways[0]:
                desk.ways = desk.ways[1:]
            case FilterIgnored() | ResourceRefused() if len(desk.ways) > 1 and walk == desk.ways[-1]:
                desk.ways = desk.ways[:-1]
                for notice in notices:
                    desk.put_off(notice, now)
                return
            case FilterIgnored() | ResourceRefused() if walk not in desk.ways:
                pass  # asked before the way was given up
            case ResourceRefused():
                desk.paused = now + _REFUSED_PAUSE
                self._tell(desk, f"{desk.name} cannot be asked for: {error}; its notices wait")
            case GiveUpError():
                self._warn(f"{desk.name} {', '.join(notice.key for notice in notices)}: {error}")
                for notice in notices:
                    record = notice.resource, notice.key
                    self._tries[record] = self._tries.get(record, 0) + 1
                    if self._tries[record] < _TRIES:
                        desk.put_off(notice, now + 2.0 ** self._tries[record])
                    else:
                        self._hopeless.append(notice)
                return
            case WaitError():
                self._pause(now, _LONGEST_PAUSE, error)
            case _:
                self._failures += 1
                self._pause(now, min(2.0**self._failures, _LONGEST_PAUSE), error)
        self._inbox.give_back(notices)

    def _pause(self, now: float, seconds: float, error: HarvesterError) -> None:
        if self._paused < now:
            self._warn(f"nothing is asked for {seconds:.0f} s: {error}")
        self._paused = max(self._paused, now + seconds)

    def _until_due(self) -> float:
        """Seconds until something may be asked for that may not be now; an hour: nothing."""
        now = self._site.clock.monotonic()
        times = [self._paused, self._calm_at(), *(desk.paused for desk in self._desks.values())]
        times += [desk.later[0][0] for desk in self._desks.values() if desk.later]
        return min((time - now for time in times if time > now), default=3600.0)

    async def _wait(self, event: anyio.Event, seconds: float) -> None:
        await unless_stopped(event, lambda: self._site.clock.sleep(max(seconds, 0.01)))

    async def _around(self, desk: Desk) -> Around:
        async with desk.turning:  # nobody takes a notice while it is found out that it can be left out
            now = self._site.clock.monotonic()
            if desk.around is None or now - desk.looked_around >= _LOOK_AROUND:
                desk.looked_around = now
                try:
                    desk.around = await self._in_thread(partial(self._survey, desk))
                    await self._leave_out(desk, desk.around)
                except StorageError as error:  # without its turn: another process may be moving what is read
                    desk.around = Around(finished=frozenset(), reason=str(error), passing=True)
            return desk.around

    def _survey(self, desk: Desk) -> Around:
        """How things stand on disk. Blocking.

        Where one credential sees less than another, what it is not shown would be taken for deleted: several of them
        ask for nothing until a run has found that they see the same.
        """
        around, source, site = desk.ground.look(), self._source, self._site
        if around.reason or not source.credentials:
            return around
        if have_agreed(site.fs, site.out, source, desk.blueprint.resource, site.clock.now()):
            return around
        reason = f"the credentials of {source.name} have not been compared lately; the next run of it does that"
        return structs.replace(around, reason=reason)

    async def _leave_out(self, desk: Desk, around: Around) -> None:
        """Take out of the inbox what deltas and sweeps have read since it was announced: a burst of changes costs a
        delta a few pages, and many requests here."""
        unread, since = around.finished - desk.read - desk.mine, self._inbox.oldest(desk.name)
        if since is not None and unread:
            for began, keys in await self._in_thread(lambda: desk.ground.brought(unread, since)):
                known = self._inbox.take_if(desk.name, partial(_is_among, keys, began))
                self.spared += len(known)
                await self._inbox.settle(known)
        desk.read = around.finished

    # -------------------------------------------------------------- writing

    async def _write(self, desk: Desk) -> None:
        while True:
            news, due = self._news, self._due_in(desk, self._site.clock.monotonic())
            if due > 0:
                await self._wait(news, due)
            else:
                await self._seal(desk)

    async def _keep_house(self) -> None:
        """Give up what is hopeless; and end where it is only to drain."""
        while True:
            news = self._news
            await self._drop()
            if self._drains and self._is_idle():
                self._end()
                return
            await self._wait(news, self._until_due())

    def _due_in(self, desk: Desk, now: float) -> float:
        """Seconds until what *desk* keeps is to be written; a day: there is nothing.

        At once where nothing more is under way, unless it was done just before: few large runs are better than many
        small ones.
        """
        if not desk.kept:
            return 86_400.0
        if len(desk.kept) >= self._pace.records or desk.size >= self._pace.bytes:
            return 0.0
        due = desk.first + self._pace.seconds
        if not desk.looking and (self._paused > now or not self._is_open(desk) or not self._inbox.waiting(desk.name)):
            due = now if self._drains else min(due, desk.sealed + self._pace.seconds)
        return due - now

    async def _seal(self, desk: Desk, *, last: bool = False) -> None:
        """Write what *desk* keeps as a run, and take its notices out of the inbox. What is left waits in the inbox."""
        if not desk.kept:
            return
        async with self._turn((desk.name,), last=last) as ours:
            if not ours:
                desk.first = self._site.clock.monotonic()  # it is to end, or the next try is as good
                return
            with anyio.CancelScope(shield=True):
                kept, desk.kept, desk.size = desk.kept, {}, 0
                done: list[Kept] = []
                try:
                    done = await self._seal_in_turn(desk, kept)
                finally:
                    written = {each.notice.key for each in done}
                    self._inbox.give_back([each.notice for key, each in kept.items() if key not in written])
                await self._inbox.settle([each.notice for each in done])
        self.hear()

    async def _seal_in_turn(self, desk: Desk, kept: dict[str, Kept]) -> list[Kept]:
        """Those of *kept* that are in a run now."""
        site = self._site
        desk.around, desk.looked_around = await self._in_thread(partial(self._survey, desk)), site.clock.monotonic()
        around = desk.around
        if around.reason:
            return []
        # What came since a record was asked for may hold a newer version, and would lie below this run.
        fresh = [each for each in kept.values() if not around.finished - each.below - desk.mine]
        if not fresh:
            return []
        requests, desk.requests = desk.requests, 0
        manifest = await self._in_thread(
            lambda: write_push(
                site,
                self._source,
                desk.blueprint,
                desk.ways[0],
                [each.look for each in fresh],
                requests=requests,
                started=desk.began or site.clock.now(),
                taken=around.finished,
            )
        )
        desk.mine = (desk.mine & around.finished) | {manifest.run}
        desk.sealed = site.clock.monotonic()
        self.records += manifest.records
        self.gone += manifest.tombstones
        self._missing.difference_update((desk.name, each.notice.key) for each in fresh)
        site.sink(
            Pushed(
                at=site.clock.now(),
                source=self._source.name,
                resource=desk.name,
                run=manifest.run,
                records=manifest.records,
                gone=manifest.tombstones,
                requests=requests,
                waiting=len(self._inbox) - len(fresh),
            )
        )
        return fresh

    async def _drop(self) -> None:
        """Give up records that never came in a form that can be used."""
        notices, self._hopeless = self._hopeless, []
        for notice in notices:
            record = notice.resource, notice.key
            self._tries.pop(record, None)
            self._missing.discard(record)
            self._warn(f"{notice.resource} {notice.key} is given up after some tries; a delta or a sweep brings it")
        self.dropped += len(notices)
        if notices:
            await self._inbox.settle(notices)

    def _is_idle(self) -> bool:
        """Whether waiting would bring nothing on: what is left waits for a person, another command or the quota."""
        if any(desk.kept or desk.looking for desk in self._desks.values()):
            return False
        if self._paused > self._site.clock.monotonic():
            return True
        return not self._hopeless and not any(
            self._is_open(desk) and (desk.later or self._inbox.waiting(desk.name)) for desk in self._desks.values()
        )

    # -------------------------------------------------------------- small things

    def _tell_stalled(self, desk: Desk, around: Around) -> None:
        """Not of every run that is just being made: most take seconds."""
        now = self._site.clock.monotonic()
        if not desk.told and not desk.stalled_since:
            desk.stalled_since = now
        if self._drains or not around.passing or now - desk.stalled_since >= _TELL_AFTER:
            self._tell(desk, f"notices of {desk.name} wait: {around.reason}")

    def _tell(self, desk: Desk, message: str) -> None:
        """Once, until it is otherwise."""
        if desk.told != message:
            desk.told = message
            self._warn(message)

    def _warn(self, message: str) -> None:
        self._site.sink(Warned(at=self._site.clock.now(), source=self._source.name, message=message))

    def _counting(self, resource: str) -> Transport:
        def count(event: Event) -> None:
            if isinstance(event, Requested):
                self._desks[resource].requests += 1
            self._site.sink(event)

        return self._source.connect(count)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._site.executor, function)


def _is_among(keys: frozenset[str], began: datetime, notice: Notice) -> bool:
    return notice.key in keys and notice.at is not None and notice.at < began
