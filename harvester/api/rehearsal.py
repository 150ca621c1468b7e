"""Rehearses a harvest: the governor that will decide, on virtual time, over the requests that are planned.

A formula knows one window; the governor knows all of them, what is already spent, what answers told, pauses and the
ramp after them. So it is asked itself. What cannot be known (how long an answer takes, how large it is) is a mean.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct, structs

from harvester.api.stand_in import StandIn
from harvester.api.virtual_time import VirtualClock, run_virtually
from harvester.events import Event, Waiting
from harvester.governor.gate import Gate
from harvester.governor.governor import Governor
from harvester.governor.learned import Learned
from harvester.governor.ledger.news import Ended, News, Opened, Released
from harvester.governor.ledger.reading import Journal
from harvester.governor.ledger.recorded import RecordedLedger
from harvester.governor.line import Priority
from harvester.model import Budget, Window
from harvester.report import units

MOST_REQUESTS = 30_000
"""More than so many are rehearsed in lots: one stands for several."""

EMPTY = Journal()
"""Nothing is spent, nothing was told."""

_COARSE_ENOUGH = 50  # requests of a window below which its period is stretched rather than its limit cut


class Job(Struct, frozen=True, kw_only=True):
    """The requests of one resource. Stages follow each other; the chains of one stage go side by side."""

    source: str
    resource: str
    after: str | None = None  # resource of the same source that must have ended
    stages: tuple[tuple[int, ...], ...]  # requests of each chain; those of one chain wait for each other
    workers: int  # chains under way at a time
    latency: float  # mean seconds of one request
    page_bytes: int  # mean body on the wire; 0: unknown
    weight: float = 1.0  # of its share of the quota
    accounts: tuple[int, ...] = (0,)  # which of the rehearsed ones its source may use

    @property
    def requests(self) -> int:
        return sum(map(sum, self.stages))


class Account(Struct, frozen=True, kw_only=True):
    """One credential when the rehearsal begins."""

    budget: Budget
    journal: Journal = EMPTY  # what is already spent, and what answers told
    learned: Sequence[Learned] = ()  # by earlier runs
    default_pause: float = 1.0


class Ending(Struct, frozen=True, kw_only=True):
    """When one job has ended, in seconds from the start."""

    source: str
    resource: str
    seconds: float


class Rehearsal(Struct, frozen=True, kw_only=True):
    """How it went. Jobs without requests end when what they wait for has ended."""

    seconds: float
    requests: int
    bytes: int  # on the wire; 0: the size of a page is not known
    endings: tuple[Ending, ...]  # in the order of the jobs
    binding: str  # what was waited for longest, in words; "" when nothing was
    waited: float  # seconds for which everything stood still


def rehearse(
    jobs: Sequence[Job],
    budget: Budget,
    *,
    start: datetime,
    journal: Journal = EMPTY,
    learned: Sequence[Learned] = (),
    default_pause: float = 1.0,
    most: int = MOST_REQUESTS,
) -> Rehearsal:
    """``rehearse_shared`` with one credential."""
    account = Account(budget=budget, journal=journal, learned=learned, default_pause=default_pause)
    return rehearse_shared(jobs, (account,), start=start, most=most)


def rehearse_shared(
    jobs: Sequence[Job], accounts: Sequence[Account], *, start: datetime, most: int = MOST_REQUESTS
) -> Rehearsal:
    """Do *jobs* with the credentials that they share. Blocks; about 0.3 s for 10,000 requests.

    Args:
        start: aware UTC, when the journals were read.
        most: requests to rehearse one by one.
    """
    lot = max(1, math.ceil(sum(job.requests for job in jobs) / most))
    theatre = _Theatre([_in_lots(job, lot) for job in jobs], [_account_in_lots(each, lot) for each in accounts])
    ends = run_virtually(theatre.play, start)
    reason, waited = theatre.longest_wait()
    budgets = [account.budget for account in accounts]
    return Rehearsal(
        seconds=max(ends, default=0.0),
        requests=sum(job.requests for job in jobs),
        bytes=sum(job.requests * job.page_bytes for job in jobs),
        endings=tuple(
            Ending(source=job.source, resource=job.resource, seconds=end) for job, end in zip(jobs, ends, strict=True)
        ),
        binding=next(
            (told for each in budgets if (told := _in_words(reason, each, lot)) != _plain(reason)), _plain(reason)
        ),
        waited=waited,
    )


def _in_words(reason: str, budget: Budget, lot: int) -> str:
    """*reason* of the governor for a plan: the window of the budget that it means, if it means one."""
    for window, part in zip(budget.windows, _budget_in_lots(budget, lot).windows, strict=True):
        for unit, limit, whole in (("requests", part.requests, window.requests), ("bytes", part.bytes, window.bytes)):
            if limit is not None:
                share = 1.0 - budget.margin - budget.reserve
                gate = Gate(seconds=part.seconds, unit=unit, declared=limit, share=share)
                if reason == f"window {gate.says} is full":
                    return units.quota(whole or 0, unit, window.seconds)
    return _plain(reason)


def _plain(reason: str) -> str:
    return reason.removeprefix("window ").removesuffix(" is full")


class _Theatre:
    def __init__(self, jobs: Sequence[Job], accounts: Sequence[Account]) -> None:
        self._jobs, self._accounts = jobs, accounts
        self._waits: dict[str, float] = {}
        self._waited_until = 0.0

    async def play(self, clock: VirtualClock) -> list[float]:
        self._clock = clock
        self._governors = [
            Governor(
                account.budget,
                clock,
                name="rehearsal",
                source="rehearsal",
                ledger=RecordedLedger(account.journal.news),
                sink=self._hear if len(self._accounts) == 1 else None,
                longest_pause=math.inf,
                default_pause=account.default_pause,
                learned=account.learned,
            )
            for account in self._accounts
        ]
        self._servers = [StandIn(account.budget, account.journal, account.learned) for account in self._accounts]
        self._sent = [0] * len(self._accounts)
        ended = {(job.source, job.resource): asyncio.Event() for job in self._jobs}
        return list(await asyncio.gather(*(self._do(job, ended) for job in self._jobs)))

    async def _do(self, job: Job, ended: dict[tuple[str, str], asyncio.Event]) -> float:
        if job.after is not None and (job.source, job.after) in ended:
            await ended[job.source, job.after].wait()
        for number, stage in enumerate(job.stages):
            line = iter(stage)
            priority = Priority.DELTA if number else Priority.BACKFILL  # what follows the full walks closes them
            await asyncio.gather(*(self._work(job, line, priority) for _ in range(min(job.workers, len(stage)))))
        ended[job.source, job.resource].set()
        return self._clock.monotonic()

    async def _work(self, job: Job, line: Iterator[int], priority: Priority) -> None:
        """Do one chain after the other, until *line*, which others take from too, is empty."""
        lane = f"{job.source}/{job.resource}"
        clock = self._clock
        for chain in line:
            for _ in range(chain):
                number = self._first_free(job)
                governor, server = self._governors[number], self._servers[number]
                self._look_at_short_wait(governor)
                ticket = await governor.admit(priority, lane=lane, weight=job.weight)
                # Into the server's count half way, and half of the way back.
                await clock.sleep(job.latency / 2)
                signal = server.answer(clock.monotonic())
                await clock.sleep(job.latency / 2)
                if signal is not None:
                    governor.observe(signal)
                governor.settle(ticket, job.page_bytes)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._wait(event.seconds, event.reason)

    def _first_free(self, job: Job) -> int:
        """The account by which the next request of *job* goes soonest."""
        if len(job.accounts) == 1:
            return job.accounts[0]
        waits = {number: max(0.0, self._governors[number].next_free()) for number in job.accounts}
        number = min(job.accounts, key=lambda each: (waits[each], self._sent[each]))
        self._sent[number] += 1
        if 1 <= waits[number] < math.inf:  # everybody waits
            use = self._governors[number].usage()
            self._wait(waits[number], f"window {use.limit} per {use.seconds:g} s is full" if use else "a pause")
        return number

    def _look_at_short_wait(self, governor: Governor) -> None:
        """Waits below a second are not announced, but in a window of a second there are no others."""
        seconds = governor.next_free()
        if 0 < seconds < 1:
            use = governor.usage()
            if use is not None:
                self._wait(seconds, f"window {use.limit} per {use.seconds:g} s is full")

    def _wait(self, seconds: float, reason: str) -> None:
        now = self._clock.monotonic()
        more = now + seconds - max(now, self._waited_until)
        if more > 0:
            self._waits[reason] = self._waits.get(reason, 0.0) + more
            self._waited_until = now + seconds

    def longest_wait(self) -> tuple[str, float]:
        """What was waited for longest, and how long everything stood still for any reason."""
        if not self._waits:
            return "", 0.0
        return max(self._waits, key=lambda reason: self._waits[reason]), sum(self._waits.values())


def _ended(news: Sequence[News]) -> tuple[News, ...]:
    """Requests that are under way count as ended now: in a rehearsal nobody else will ever end them."""
    open_ones = {item.number for item in news if isinstance(item, Opened)}
    open_ones -= {item.number for item in news if isinstance(item, Ended | Released)}
    return tuple(
        Ended(item.number, 0.0, 0, heard=True) if isinstance(item, Opened) and item.number in open_ones else item
        for item in news
    )


# ------------------------------------------------------------------ lots


def _account_in_lots(account: Account, lot: int) -> Account:
    journal = account.journal
    return structs.replace(
        account,
        budget=_budget_in_lots(account.budget, lot),
        journal=Journal(_news_in_lots(_ended(journal.news), lot), journal.told if lot == 1 else ()),
        learned=account.learned if lot == 1 else (),
    )


def _in_lots(job: Job, lot: int) -> Job:
    if lot == 1:
        return job
    return structs.replace(
        job,
        stages=tuple(_stage_in_lots(stage, lot) for stage in job.stages),
        latency=job.latency * lot,
        page_bytes=job.page_bytes * lot,
    )


def _stage_in_lots(stage: tuple[int, ...], lot: int) -> tuple[int, ...]:
    """Chains shorter than a lot are put end to end, so that their sum is right."""
    chains, rest = [], 0.0
    for chain in stage:
        rest += chain / lot
        whole = math.floor(rest + 0.5)
        if whole:
            chains.append(whole)
            rest -= whole
    return tuple(chains)


def _budget_in_lots(budget: Budget, lot: int) -> Budget:
    if lot == 1:
        return budget
    windows = []
    for window in budget.windows:
        if window.requests is None:
            windows.append(window)  # pages are as many times larger
        elif window.requests >= _COARSE_ENOUGH * lot:
            windows.append(Window(seconds=window.seconds, requests=round(window.requests / lot), bytes=window.bytes))
        else:
            windows.append(Window(seconds=window.seconds * lot, requests=window.requests, bytes=window.bytes))
    return structs.replace(budget, windows=tuple(windows))


def _news_in_lots(news: Sequence[News], lot: int) -> tuple[News, ...]:
    """One of every *lot* requests, for all of them."""
    if lot == 1:
        return tuple(news)
    kept: list[News] = []
    for item in news:
        if not isinstance(item, Opened | Ended | Released):
            kept.append(item)
        elif item.number % lot == 0:
            kept.append(structs.replace(item, size=item.size * lot) if isinstance(item, Ended) else item)
    return tuple(kept)
