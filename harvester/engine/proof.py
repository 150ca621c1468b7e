"""The proof of a run: every key that the provider lists is held, or is fetched again until it is.

A round lists the keys (phase ``SWEEP``), holds them against what the run has, and reads what is missing or different
(phase ``REPAIR``). A listing that leaves something out is a weaker proof than none, so it is believed only when

* it was read to its end, and each of its records has a key (FAULTS T10);
* it has as many keys as the provider counts, or nothing lies behind its last record (P06, P13);
* the keys that are held and not listed are really gone: some of them are asked for (S12, T11);
* nothing moved meanwhile, where its pages go by a bare offset (P09): what was listed before is listed again.

Keys that could not be fetched are gone only if the next listing does not have them any more (P12).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TypeVar

from harvester.engine.burial import LETTER, bury
from harvester.engine.crew import Crew
from harvester.engine.evidence import Evidence
from harvester.engine.holdings import Holdings
from harvester.engine.listing import ListingIntake
from harvester.engine.proven import Proven
from harvester.engine.reconcile import Reconcile
from harvester.engine.source import Blueprint, Source
from harvester.engine.stopping import unless_stopped
from harvester.engine.suspicion import MOST_GONE, Suspicion
from harvester.engine.workshop import Workshop
from harvester.errors import BodyIncomplete, ConnectionFailed, GiveUpError, Locked, ServerFault, StorageError, TimedOut
from harvester.events import Compared, ListingBegun
from harvester.model import Ending, Phase, Walk
from harvester.provider import Repair
from harvester.store.commits import Commit
from harvester.store.key_table import KeyTable
from harvester.store.keys import parts_of
from harvester.store.listing import (
    Difference,
    compare_keys,
    gone_keys,
    load_listing,
    number_in,
    still_wanted,
    text_of,
)
from harvester.store.manifest import Gap, KeyDigest, SweepEvidence

T = TypeVar("T")

_LISTINGS = "stu"  # first letters of the ids of walks that list, one a round
_REPAIRS = "pqr"  # and of those that read again what the listing of the round shows to be missing
_CONFIRMS = "g"  # of those that ask for keys which are held and not listed, before they are taken for deleted
_SECOND = "v"  # of a listing that confirms it where records cannot be asked for
_ELSEWHERE = "y"  # of those that list where records may have moved to
_SAMPLES = 8  # keys asked for of those that are held and not listed
_WALKS_AT_A_TIME = 64
LISTINGS = frozenset(_LISTINGS + _SECOND + _ELSEWHERE)
LETTERS = frozenset(_LISTINGS + _REPAIRS + _CONFIRMS + _SECOND + _ELSEWHERE + LETTER)


class _Stopped(Exception):
    """The run was asked to stop; what was committed stays."""


class _Unlisted(Exception):
    """The keys could not be listed to the end; the message says why."""


async def prove(
    source: Source,
    blueprint: Blueprint,
    crew: Crew,
    evidence: Evidence,
    holdings: Holdings,
    walks: Sequence[Walk],
    shop: Workshop,
    earlier: dict[str, tuple[Commit, ...]],
    *,
    whole: int | None = None,
    purge: float | None = None,
    whole_records: bool = False,
) -> Proven | None:
    """List, compare and read again, a few rounds at most; None: asked to stop.

    Every walk of it is committed like any other, so that a run that was broken off in the middle goes on there.

    Args:
        walks: the full walks; in a full run they and the closing delta have ended.
        earlier: what attempts before this one have committed.
        whole: requests that reading everything takes; None: as many as this run has made for it.
        purge: write tombstones for what has gone, if that is no larger share of what is held; None: write none.
        whole_records: compare what records say; *holdings* holds that of each in the place of its time.
    Raises:
        HarvesterError: a walk failed in a way that another attempt may mend.
    """
    if blueprint.reconcile is None:
        return Proven(evidence=None, gaps=(Gap(cause="there is no way to list the keys"),))
    if not walks:  # the parent has no values
        return Proven(evidence=None)
    with ExitStack() as tables:
        try:
            proof = _Proof(
                source,
                blueprint.reconcile,
                crew,
                evidence,
                holdings,
                whole=whole,
                purge=purge,
                whole_records=whole_records,
            )
            proven = await proof.run(walks, shop, earlier, tables)
            for name, commits in earlier.items():  # of rounds that an earlier attempt began and this one did not need
                if commits and name[0] in LETTERS and name not in crew.positions:
                    crew.recall(commits)
            return proven
        except _Stopped:
            return None


class _Proof:
    """The rounds of one run's proof."""

    def __init__(
        self,
        source: Source,
        reconcile: Reconcile,
        crew: Crew,
        evidence: Evidence,
        holdings: Holdings,
        *,
        whole: int | None,
        purge: float | None,
        whole_records: bool,
    ) -> None:
        self._source, self._reconcile = source, reconcile
        self._crew, self._evidence, self._holdings = crew, evidence, holdings
        full = sum(position.tally.requests for name, position in crew.positions.items() if name.startswith("w"))
        self._whole, self._purge = full if whole is None else whole, purge
        self._whole_records = whole_records
        self._elsewhere = 0  # records that are in another resource now
        self._tried: set[str] = set()  # fetchers
        self._first: Difference | None = None  # of the first round
        self._refetched = 0
        self._refuted = False
        self._executor: Executor | None = None

    async def run(
        self, walks: Sequence[Walk], shop: Workshop, earlier: dict[str, tuple[Commit, ...]], tables: ExitStack
    ) -> Proven:
        self._executor = shop.executor
        before: KeyTable | None = None  # the listing before this one
        left: KeyTable | None = None  # keys that a listing which can be believed has, and that did not come yet
        doubt, missing, times = "", 0, False
        for number, (letter, repair) in enumerate(zip(_LISTINGS, _REPAIRS, strict=True), start=1):
            listings = self._reconcile.listings(walks, shop.clock.now(), letter, self._whole_records)
            times = all(walk.resource.modified is not None for walk in listings)
            listed, wanted = self._table(tables, f"listed-{letter}"), self._table(tables, f"wanted-{letter}")
            try:
                unreadable = await self._list(listings, letter, shop, earlier, listed)
            except _Unlisted as error:
                if number < len(_LISTINGS):
                    continue  # a tie that kept moving, a cursor that died: the next one may come to its end
                return self._proven(None, rounds=number, reason=str(error), times=times)
            difference = await self._compare(listed, wanted, number, shop)
            suspicion = Suspicion(self._source, self._reconcile, shop.transport, walks, times=times)
            doubt = await self._doubt(suspicion, listings, walks, shop, difference, unreadable)
            shaky = not doubt and any(self._crew.positions[walk.id].tally.offsets for walk in listings)
            if shaky:
                doubt = await self._moved(before, listed, difference, letter)
            doubt = doubt or await self._open_ended(suspicion, listings, walks, shop, difference.listed.number)
            if left is not None:
                # Later listings only tell which of the missing are still there: what is new is for the next run.
                wanted, known = self._table(tables, f"again-{letter}"), left
                believed = None if doubt else listed
                await self._in_thread(still_wanted, known, self._holdings.later, wanted, believed)
            last = self._table(tables, f"left-{letter}")
            missing = await self._repair(walks, wanted, last, repair, shop, earlier)
            if not doubt and not missing:
                held_back = await self._bury(walks, listed, shop, earlier, tables)
                return self._proven(difference, rounds=number, times=times, reason=held_back)
            before, left = listed if shaky else None, last if left is not None or not doubt else None
            if number == len(_LISTINGS):
                reason = doubt or f"{missing:,} records are listed and cannot be read"
                gaps = await self._in_thread(_gaps, last, reason, walks[0].value is not None) if missing else ()
                return self._proven(difference, rounds=number, reason=reason, gaps=gaps, times=times)
        raise AssertionError("there is a last round")

    # -------------------------------------------------------------- listing

    async def _list(
        self,
        listings: Sequence[Walk],
        letter: str,
        shop: Workshop,
        earlier: dict[str, tuple[Commit, ...]],
        table: KeyTable,
    ) -> int:
        """Read the listings to their ends and put them into *table*; how many lines have no key."""
        shop.sink(
            ListingBegun(
                at=shop.clock.now(),
                source=self._source.name,
                resource=self._evidence.resource.name,
                round=_LISTINGS.find(letter) + 1,
            )
        )
        await self._read_listings(listings, shop, earlier)
        return await self._in_thread(self._load, letter, shop, table)

    async def _read_listings(
        self, listings: Sequence[Walk], shop: Workshop, earlier: dict[str, tuple[Commit, ...]]
    ) -> None:
        try:
            ended = await self._crew.run(listings, replace(shop, intake=ListingIntake, count=None), earlier)
        except (StorageError, Locked):
            raise
        except GiveUpError as error:
            raise _Unlisted(f"the listing of all keys broke off: {error}") from error
        except (ServerFault, ConnectionFailed, TimedOut, BodyIncomplete) as error:
            if not self._is_stuck(listings, earlier):
                raise
            raise _Unlisted(f"the listing of all keys breaks off at the same place again: {error}") from error
        if not ended:
            raise _Stopped

    def _is_stuck(self, listings: Sequence[Walk], earlier: Mapping[str, tuple[Commit, ...]]) -> bool:
        """Whether a sweep has not got beyond where an earlier attempt stood: gone on with, it would hold off deltas."""
        before = {walk.id: commits[-1].tally.requests for walk in listings if (commits := earlier.get(walk.id))}
        positions = self._crew.positions
        now = {walk.id: positions[walk.id].tally.requests for walk in listings if walk.id in positions}
        sweeping = self._evidence.mode is Phase.SWEEP
        return sweeping and bool(before) and all(number == before.get(name, 0) for name, number in now.items())

    def _load(self, letter: str, shop: Workshop, table: KeyTable, label: str | None = None) -> int:
        unreadable = 0
        for name, log in self._crew.logs.items():
            if name.startswith(letter) and (commits := log.load()):
                entries = [entry for commit in commits for entry in commit.add]
                value = commits[-1].walk.value
                unreadable += load_listing(shop.fs, log.run_directory, entries, value, table, label=label)[1]
        return unreadable

    async def _compare(self, listed: KeyTable, wanted: KeyTable, number: int, shop: Workshop) -> Difference:
        holdings = self._holdings
        compare = partial(compare_keys, listed, holdings.before, holdings.later, wanted, samples=_SAMPLES)
        difference = await self._in_thread(compare)
        if self._first is None:
            self._first, self._refetched = difference, difference.refetched
        shop.sink(
            Compared(
                at=shop.clock.now(),
                source=self._source.name,
                resource=self._evidence.resource.name,
                round=number,
                listed=difference.listed.number,
                missing=difference.missing,
                differing=difference.differing,
                gone=difference.gone,
            )
        )
        return difference

    # -------------------------------------------------------------- doubt

    async def _doubt(
        self,
        suspicion: Suspicion,
        listings: Sequence[Walk],
        walks: Sequence[Walk],
        shop: Workshop,
        difference: Difference,
        unreadable: int,
    ) -> str:
        """Why the listing may leave something out; "" when nothing speaks for it."""
        if unreadable:
            return f"{unreadable:,} of the records that list the keys have none that can be used"
        number = difference.listed.number
        quarantined = self._crew.total("quarantined")
        self._refuted = False
        if number + quarantined < (self._evidence.claimed or 0) or self._evidence.claimed is None:
            if await self._evidence.claim(walks, shop):
                raise _Stopped
            if number + quarantined < (self._evidence.claimed or 0):
                self._refuted = await self._ask(shop, partial(suspicion.nothing_beyond, listings, number))
                if not self._refuted:
                    return f"the provider counts {self._evidence.claimed:,} records and lists {number:,}"
        alive = await self._ask(shop, partial(suspicion.alive, difference.gone_samples))
        if alive is not None:
            return f"the listing of all keys leaves out records that are there, such as {'/'.join(alive)}"
        if self._purge is None and (difference.gone > _SAMPLES or not self._source.provider.fetchers):
            held = difference.listed.number - difference.missing + difference.gone
            if difference.gone > MOST_GONE * held:
                return f"the listing of all keys has no more than {number:,} where {held:,} are held"
        return ""

    async def _open_ended(
        self, suspicion: Suspicion, listings: Sequence[Walk], walks: Sequence[Walk], shop: Workshop, number: int
    ) -> str:
        """Why the listing may have ended too early, "" when nothing speaks for it: its last link may be lost (P06)."""
        if all(self._crew.positions[walk.id].tally.ending != Ending.OPEN for walk in listings):
            return ""
        number += self._crew.total("quarantined")
        if number > (self._evidence.claimed or 0) and await self._evidence.claim(walks, shop):
            raise _Stopped
        if number <= (self._evidence.claimed or 0):
            return ""  # as many as there are; that there are not fewer was seen before
        if await self._ask(shop, partial(suspicion.nothing_beyond, listings, number)):
            return ""
        return "nothing shows that the last page of the listing of all keys was the last"

    async def _moved(self, before: KeyTable | None, listed: KeyTable, difference: Difference, letter: str) -> str:
        """Why pages told by offsets may have left something out; "" when nothing that was listed before has moved.

        A row is shifted past an offset only when another leaves an earlier place, and that one had been listed then.
        If all that was read before is listed again, none left, and what was read before is whole.
        """
        if before is not None:
            with self._holdings.table(f"nobody-{letter}") as nobody, self._holdings.table(f"any-{letter}") as scratch:
                difference = await self._in_thread(partial(compare_keys, listed, before, nobody, scratch, samples=0))
        if not difference.gone and not difference.differing:
            return ""
        return "pages are told by offsets here, and records moved each time they were listed"

    async def _ask(self, shop: Workshop, question: Callable[[], Awaitable[T]]) -> T:
        """The answer to a single question; raises ``_Stopped`` when the run is to stop meanwhile."""
        answers: list[T] = []

        async def ask() -> None:
            answers.append(await question())

        _, stopped = await unless_stopped(shop.stop, ask)
        if stopped or not answers:
            raise _Stopped
        return answers[0]

    # -------------------------------------------------------------- repair

    async def _repair(
        self,
        walks: Sequence[Walk],
        wanted: KeyTable,
        left: KeyTable,
        letter: str,
        shop: Workshop,
        earlier: Mapping[str, tuple[Commit, ...]],
    ) -> int:
        """Read *wanted* again, in one way that works; how many did not come. Those are in *left* then."""
        free = await self._finish(letter, shop, earlier)
        asked = missing = await self._in_thread(self._what_is_left, wanted, left)
        ways = self._reconcile.ways(walks, missing, self._whole)
        for way in [way for way in ways if way.fetcher not in self._tried] or ways[:1]:
            if not missing:
                break
            self._tried.add(way.fetcher)
            works, free = await self._fetch(walks, way, left, letter, free, shop)
            # Compared again: what was asked for is not yet what came.
            missing = await self._in_thread(self._what_is_left, wanted, left)
            if works:
                break
        self._refetched += asked - missing
        return missing

    async def _finish(self, letter: str, shop: Workshop, earlier: Mapping[str, tuple[Commit, ...]]) -> int:
        """Go on with what an earlier attempt has begun to fetch; the first number that is free."""
        begun = {name: commits[-1].walk for name, commits in earlier.items() if name.startswith(letter)}
        if begun:
            await self._walk(list(begun.values()), shop, dict(earlier))
        return 1 + max((int(name[1:]) for name in begun), default=-1)

    async def _fetch(
        self, walks: Sequence[Walk], way: Repair, wanted: KeyTable, letter: str, free: int, shop: Workshop
    ) -> tuple[bool, int]:
        """Ask for *wanted* in one way; whether the server takes it, and the next free number."""
        keys = (parts_of(name) for _, name, _ in wanted.rows())
        repairs = self._reconcile.repairs(walks, way, keys, letter, free)
        works = True
        while works and (batch := await self._in_thread(_some, repairs)):
            free += len(batch)
            works = await self._walk(batch, shop, {})
        return works, free

    async def _walk(self, walks: Sequence[Walk], shop: Workshop, earlier: dict[str, tuple[Commit, ...]]) -> bool:
        """Whether *walks* came to their end; False: the server does not take this way of asking."""
        try:
            ended = await self._crew.run(walks, shop, earlier)
        except (StorageError, Locked):
            raise
        except GiveUpError:
            return False
        if not ended:
            raise _Stopped
        return True

    def _what_is_left(self, wanted: KeyTable, left: KeyTable) -> int:
        left.clear()
        return still_wanted(wanted, self._holdings.later, left)

    # -------------------------------------------------------------- what has gone

    async def _bury(
        self,
        walks: Sequence[Walk],
        listed: KeyTable,
        shop: Workshop,
        earlier: dict[str, tuple[Commit, ...]],
        tables: ExitStack,
    ) -> str:
        """Write tombstones for what is held and not listed, once that is confirmed; why they are held back, or ""."""
        if self._purge is None or not self._reconcile.purges(walks):
            return ""
        holdings = self._holdings
        gone, left = self._table(tables, "gone"), self._table(tables, "gone-still")
        number, total = await self._in_thread(gone_keys, listed, holdings.before, holdings.later, gone)
        elsewhere = self._table(tables, f"listed-{_ELSEWHERE}")
        if number:
            try:
                # Before they are listed once more: a record that comes back meanwhile is found in one of the two.
                await self._look_elsewhere(walks, shop, earlier, elsewhere)
            except _Unlisted as error:
                return f"{number:,} keys are not listed any more, and whether they are elsewhere is not known: {error}"
            moved = await self._in_thread(number_in, gone, elsewhere)
            if number - moved > self._purge * total:
                return (
                    f"{number - moved:,} of {total:,} keys are not listed any more, more than {self._purge:.0%} of "
                    "them: none was taken for deleted. If they are deleted, run again with --allow-purge"
                )
            again = self._table(tables, f"listed-{_SECOND}")
            if not await self._ask_for(walks, gone, number, shop, earlier):
                try:
                    listings = self._reconcile.listings(walks, shop.clock.now(), _SECOND, False)
                    await self._list(listings, _SECOND, shop, earlier, again)
                except _Unlisted as error:
                    return f"{number:,} keys are not listed any more, which could not be confirmed: {error}"
            await self._in_thread(gone_keys, again, gone, holdings.later, left)
            self._elsewhere = await self._in_thread(number_in, left, elsewhere)
        await bury(self._crew, shop, walks, left, elsewhere)
        return ""

    async def _look_elsewhere(
        self, walks: Sequence[Walk], shop: Workshop, earlier: dict[str, tuple[Commit, ...]], table: KeyTable
    ) -> None:
        """List the resources to which records may have moved into *table*, with the name of each in the place of times.

        Raises:
            _Unlisted: one of them could not be read, or not all of its records have a key.
        """
        listings = self._reconcile.elsewhere(walks, _ELSEWHERE)
        if not listings:
            return
        await self._read_listings(listings, shop, earlier)
        for walk in listings:
            unreadable = await self._in_thread(self._load, walk.id, shop, table, walk.resource.name)
            if unreadable:
                raise _Unlisted(f"{unreadable:,} records of {walk.resource.name} have no key that can be used")

    async def _ask_for(
        self,
        walks: Sequence[Walk],
        gone: KeyTable,
        number: int,
        shop: Workshop,
        earlier: Mapping[str, tuple[Commit, ...]],
    ) -> bool:
        """Ask for *gone* by key: what comes is there and held again. False: that is dearer than another listing."""
        free = await self._finish(_CONFIRMS, shop, earlier)
        for way in self._reconcile.ways(walks, number, self._whole):
            if not way.fetcher:
                return False
            works, free = await self._fetch(walks, way, gone, _CONFIRMS, free, shop)
            if works:
                return True
        return False

    # -------------------------------------------------------------- small things

    def _proven(
        self,
        difference: Difference | None,
        *,
        rounds: int,
        times: bool,
        reason: str = "",
        gaps: tuple[Gap, ...] = (),
    ) -> Proven:
        first = self._first
        requests = sum(p.tally.requests for name, p in self._crew.positions.items() if name[0] in LETTERS)
        evidence = SweepEvidence(
            listed=difference.listed if difference is not None else KeyDigest().key_set(),
            missing=first.missing if first is not None else 0,
            differing=first.differing if first is not None else 0,
            refetched=self._refetched,
            gone=difference.gone if difference is not None else 0,
            rounds=rounds,
            requests=requests,
            ended_by_itself=difference is not None,
            proven=not reason,
            moved=self._elsewhere,
            times=times,
            whole=self._whole_records,
            count_refuted=self._refuted and not reason,
            reason=reason,
        )
        return Proven(evidence=evidence, gaps=gaps or ((Gap(cause=reason),) if reason else ()))

    def _table(self, tables: ExitStack, name: str) -> KeyTable:
        return tables.enter_context(self._holdings.table(name))

    async def _in_thread(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, lambda: function(*args))


def _some(repairs: Iterator[Walk]) -> list[Walk]:
    return list(islice(repairs, _WALKS_AT_A_TIME))


def _gaps(left: KeyTable, cause: str, scoped: bool) -> tuple[Gap, ...]:
    """One for each value of the parent: the keys and the times between which records are missing."""
    found: dict[str | None, tuple[list[tuple[str, ...]], list[str], int]] = {}
    for _, name, time in left.rows():
        parts = parts_of(name)
        value, key = (parts[0], parts[1:]) if scoped else (None, parts)
        keys, times, number = found.get(value, ([], [], 0))
        text = text_of(time)
        if text is not None:
            times = [min((text, *times)), max((text, *times))]
        found[value] = ([min((key, *keys)), max((key, *keys))], times, number + 1)
    return tuple(
        Gap(
            cause=cause,
            missing=number,
            value=value,
            first_key=keys[0],
            last_key=keys[1],
            first_time=times[0] if times else None,
            last_time=times[1] if times else None,
        )
        for value, (keys, times, number) in found.items()
    )
