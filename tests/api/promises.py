"""Promise and outcome side by side: a rehearsal, then the same requests against a server with hidden windows.

``python -m tests.api.promises 50`` measures as many seeds of every case and prints the worst ones.
"""

from __future__ import annotations

import asyncio
import math
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harvester.api.rehearsal import Job, Rehearsal, rehearse
from harvester.governor.governor import Governor
from harvester.governor.ledger.reading import read_journal
from harvester.governor.ledger.recorded import RecordedLedger
from harvester.governor.ledger.sqlite import SqliteLedger
from harvester.model import Budget, RateSignal, Window, WindowSignal
from tests.fakes.loop import LoopClock, run
from tests.fakes.quota_servers import Fixed, Kind, Quota, QuotaServer, Sliding, Told

DAY: Quota = ((20, 60.0), (250, 3600.0), (480, 86_400.0))
FAST: Quota = ((2, 1.0), (50, 60.0), (1000, 3600.0))
CASES: tuple[tuple[str, Kind, Quota, bool], ...] = (
    ("fixed, told", Fixed, DAY, True),
    ("sliding, told", Sliding, DAY, True),
    ("sliding, untold", Sliding, DAY, False),
    ("fixed, untold", Fixed, DAY, False),
    ("fast fixed, told", Fixed, FAST, True),
    ("fast sliding, told", Sliding, FAST, True),
)


@dataclass(frozen=True)
class Race:
    """How long it was to take and how long it took, in seconds of virtual time."""

    promise: Rehearsal
    outcome: float
    refused: int

    @property
    def error(self) -> float:
        """Of the finish time, as a share of the outcome; positive: promised too late."""
        return self.promise.seconds / self.outcome - 1


def race(kind: Kind, quota: Quota, seed: int, *, headers: bool, directory: Path) -> Race:
    """One harvest of random size: a few counting requests, a plan made from what they told, and the harvest.

    Args:
        headers: answers carry Remaining and Reset of every window.
        directory: for a quota ledger.
    """
    chance, network = random.Random(seed), random.Random(seed + 1)
    server = QuotaServer(
        kind,
        quota,
        chance,
        chance.uniform(-20, 20),
        lambda: network.lognormvariate(math.log(0.8) - 0.18, 0.6),
    )
    budget = Budget(windows=tuple(Window(seconds=s, requests=n) for n, s in quota), in_flight=4)
    jobs = _jobs(random.Random(seed + 2), quota)

    def signal(told: Told) -> RateSignal:
        windows = [
            WindowSignal(seconds=seconds, remaining=left, resets_in=max(0.0, reset - told.date))
            for (_, seconds), (left, reset) in zip(quota, told.windows, strict=True)
        ]
        waits = None if told.ok else float(told.retry_after)
        return RateSignal(refused=not told.ok, retry_after=waits, windows=tuple(windows) if headers else ())

    async def one(governor: Governor) -> None:
        while True:
            ticket = await governor.admit()
            told = await server.request()
            governor.observe(signal(told))
            governor.settle(ticket, 1_000)
            if told.ok:
                return

    async def main() -> Race:
        clock = LoopClock()
        path = directory / f"{seed}.sqlite"
        ledger = SqliteLedger(path, "hidden", clock)
        counting = Governor(budget, clock, name="Hidden", source="hidden", ledger=ledger)
        for _ in jobs:
            await one(counting)
        ledger.close()
        await clock.sleep(30)  # a person reads the plan
        journal = read_journal(path, "hidden", clock.now().timestamp())
        promise = rehearse(jobs, budget, start=clock.now(), journal=journal)
        began = clock.monotonic()
        governor = Governor(budget, clock, name="Hidden", source="hidden", ledger=RecordedLedger(journal.news))

        async def work(line: Iterator[int]) -> None:
            for chain in line:
                for _ in range(chain):
                    await one(governor)

        async def do(job: Job) -> float:
            for stage in job.stages:
                line = iter(stage)
                await asyncio.gather(*(work(line) for _ in range(min(job.workers, len(stage)))))
            return clock.monotonic() - began

        ends = await asyncio.gather(*map(do, jobs))
        return Race(promise, max(ends), server.refused)

    return run(main())


def _jobs(chance: random.Random, quota: Quota) -> list[Job]:
    """Three resources that need the longest window twice to four times over."""
    most = quota[-1][0]
    return [
        Job(
            source="hidden",
            resource=name,
            stages=(tuple(chance.randint(1, most // 4) for _ in range(chance.randint(2, 5))), (1,)),
            workers=8,
            latency=0.8,
            page_bytes=1_000,
        )
        for name in ("Property", "Member", "Office")
    ]


def main(seeds: int) -> None:
    """Print, for each case, how far promises were off."""
    with tempfile.TemporaryDirectory() as directory:
        for name, kind, quota, headers in CASES:
            races = []
            for seed in range(seeds):
                races.append(race(kind, quota, seed, headers=headers, directory=Path(directory)))
                (Path(directory) / f"{seed}.sqlite").unlink()
            errors = sorted(abs(each.error) for each in races)
            within = sum(error <= 0.05 for error in errors)
            refused = sum(each.refused for each in races)
            print(
                f"{name:20} within 5 %: {within} of {seeds}; median {errors[len(errors) // 2]:.2%}, "
                f"worst {errors[-1]:.2%}; {refused} refusals"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]))
