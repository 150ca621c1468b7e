"""How much of each hidden quota the governor gets, over many seeds.

``python -m tests.governor.sweep [SEEDS] [HOURS] [WORD] [FILE]`` prints a row a quota, server, latency and what the
server tells: seeds, refusals (of the worst seed, of all), the share of what a client would have got that knows all
and has no latency (least, median), and of what the best client gets that risks nothing (see ``sound``). WORD keeps
the rows that contain it. Rows are added to FILE as they end; those that are in it already are not run again.
"""

from __future__ import annotations

import random
import statistics
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harvester.governor.learned import Learned
from tests.fakes.quota_servers import Fixed, Kind, Quota, Sliding, sound
from tests.governor.hidden_quota import (
    LANES,
    Latency,
    Outcome,
    Size,
    lognormal,
    megabytes,
    server_chance,
    simulate,
    steady,
    thousand_bytes,
    uneven,
)

TELLS = {
    "headers": "what is left of each window and when it begins anew",
    "learned": "the same, and an earlier run has proven the windows of a second to be fixed ones",
    "nothing": "",
    "refusals": "limits are unknown, and refusals name their window",
    "429": "limits are unknown, and refusals name nothing but a wait",
}
FIXED = (Learned(seconds=1.0, limit=None, kind="fixed", evidence="a sweep", at=datetime(2026, 3, 1, tzinfo=UTC)),)


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    quota: Quota
    tells: str  # see ``TELLS``
    hours: float = 24.0
    lanes: int = LANES
    volume: Quota = ()
    size: Size = thousand_bytes

    def run(self, kind: Kind, latency: Latency, seed: int, hours: float) -> Outcome:
        """One seed."""
        return simulate(
            kind,
            self.quota,
            min(hours, self.hours),
            seed,
            headers=self.tells in {"headers", "learned"},
            known=() if self.tells in {"refusals", "429"} else None,
            names_window=self.tells == "refusals",
            count_refused=bool(seed % 2),
            latency=latency,
            lanes=self.lanes,
            learned=FIXED if self.tells == "learned" else (),
            volume=self.volume,
            size=self.size,
        )

    def sound(self, kind: Kind, latency: Latency, seed: int, hours: float) -> int | None:
        """What can be had without risk, of the same server with the same latencies; None for windows of bytes."""
        if self.volume:
            return None
        return sound(
            kind,
            self.quota,
            server_chance(seed)[0],
            min(hours, self.hours) * 3600,
            latency=latency(random.Random(seed + 1)),
            lanes=self.lanes,
            told=self.tells in {"headers", "learned"},
        )


MINUTE: Quota = ((20, 60.0),)
NESTED: Quota = ((20, 60.0), (480, 86_400.0))
BOTH: Quota = ((20, 60.0), (250, 3_600.0))
HOUR: Quota = ((250, 3_600.0),)
THREE: Quota = ((2, 1.0), (7_200, 3_600.0), (40_000, 86_400.0))
SECOND: Quota = ((10, 1.0),)
GIGABYTES: Quota = ((4_000_000_000, 3_600.0),)

CASES = (
    *(Case(f"250/h {tells}", HOUR, tells) for tells in ("headers", "nothing", "refusals")),
    *(Case(f"20/min + 480/day {tells}", NESTED, tells) for tells in ("headers", "nothing")),
    *(Case(f"20/min + 250/h {tells}", BOTH, tells) for tells in ("headers", "nothing", "refusals")),
    *(Case(f"10/s {tells}", SECOND, tells, hours=0.5, lanes=32) for tells in ("headers", "learned", "nothing")),
    *(Case(f"20/min {tells}", MINUTE, tells) for tells in ("headers", "nothing", "refusals", "429")),
    *(Case(f"2/s + 7200/h + 40000/day {tells}", THREE, tells, lanes=16) for tells in ("headers", "learned", "nothing")),
    *(
        Case(f"the same + 4 GB/h {tells}", THREE, tells, lanes=16, volume=GIGABYTES, size=megabytes)
        for tells in ("headers", "nothing")
    ),
)


def row(case: Case, kind: Kind, latency: Latency, seeds: int, hours: float) -> str:
    """The figures of a row."""
    outcomes = [case.run(kind, latency, seed, hours) for seed in range(seeds)]
    refused = [outcome.refused for outcome in outcomes]
    used = [100 * outcome.used for outcome in outcomes]
    shares = []
    for seed, outcome in enumerate(outcomes):
        best = case.sound(kind, latency, seed, hours)
        shares.append(100 * outcome.accepted / best if best else float("nan"))
    return (
        f"{seeds:6}{max(refused):9}{sum(refused):7}{min(used):8.1f}{statistics.median(used):8.1f}"
        f"{min(shares):8.1f}{statistics.median(shares):8.1f}"
    )


def main(seeds: int, hours: float, word: str, file: Path | None) -> None:
    """Print the table."""
    done = file.read_text() if file is not None and file.exists() else ""
    print(
        f"{'quota':38}{'server':9}{'latency':11}{'seeds':>6}{'refused':>9}{'total':>7}{'least':>8}{'median':>8}"
        f"{'sound':>8}{'median':>8}"
    )
    for case in CASES:
        for kind in (Fixed, Sliding):
            for latency in (uneven, lognormal, steady):
                name = f"{case.name:38}{kind.__name__.lower():9}{latency.__name__:11}"
                if word not in name or name in done:
                    continue
                line = name + row(case, kind, latency, seeds, hours)
                print(line, flush=True)
                if file is not None:
                    with file.open("a") as written:
                        written.write(line + "\n")


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 3,
        float(sys.argv[2]) if len(sys.argv) > 2 else 24.0,
        sys.argv[3] if len(sys.argv) > 3 else "",
        Path(sys.argv[4]) if len(sys.argv) > 4 else None,
    )
