"""How much of each hidden quota the governor gets, over many seeds.

``python -m tests.governor.sweep [SEEDS] [HOURS] [WORD]`` prints a row a quota, server, latency and what the server
tells: seeds, refusals (of the worst seed, of all) and the share of what an all-knowing client without latency would
have got (least, median). WORD keeps the rows that contain it.
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

from tests.fakes.quota_servers import Fixed, Kind, Quota, Sliding
from tests.governor.hidden_quota import Latency, Outcome, lognormal, simulate, steady, uneven


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    quota: Quota
    tells: (
        str  # "headers", "nothing", "refusals" (limits unknown, refusals name their window), "429" (nothing but a wait)
    )
    hours: float = 24.0
    lanes: int = 8

    def run(self, kind: Kind, latency: Latency, seed: int, hours: float) -> Outcome:
        """One seed."""
        return simulate(
            kind,
            self.quota,
            min(hours, self.hours),
            seed,
            headers=self.tells == "headers",
            known=() if self.tells in {"refusals", "429"} else None,
            names_window=self.tells == "refusals",
            count_refused=bool(seed % 2),
            latency=latency,
            lanes=self.lanes,
        )


MINUTE: Quota = ((20, 60.0),)
NESTED: Quota = ((20, 60.0), (480, 86_400.0))
BOTH: Quota = ((20, 60.0), (250, 3_600.0))
HOUR: Quota = ((250, 3_600.0),)
THREE: Quota = ((2, 1.0), (7_200, 3_600.0), (40_000, 86_400.0))
SECOND: Quota = ((10, 1.0),)

CASES = (
    *(Case(f"20/min {tells}", MINUTE, tells) for tells in ("headers", "nothing", "refusals", "429")),
    *(Case(f"20/min + 480/day {tells}", NESTED, tells) for tells in ("headers", "nothing")),
    *(Case(f"20/min + 250/h {tells}", BOTH, tells) for tells in ("headers", "nothing", "refusals")),
    *(Case(f"250/h {tells}", HOUR, tells) for tells in ("headers", "nothing", "refusals")),
    *(Case(f"2/s + 7200/h + 40000/day {tells}", THREE, tells, lanes=16) for tells in ("headers", "nothing")),
    *(Case(f"10/s {tells}", SECOND, tells, hours=0.5, lanes=32) for tells in ("headers", "nothing")),
)


def main(seeds: int, hours: float, word: str) -> None:
    """Print the table."""
    print(f"{'quota':38}{'server':9}{'latency':11}{'seeds':>6}{'refused':>9}{'total':>7}{'least':>8}{'median':>8}")
    for case in CASES:
        for kind in (Fixed, Sliding):
            for latency in (steady, uneven, lognormal):
                row = f"{case.name:38}{kind.__name__.lower():9}{latency.__name__:11}"
                if word not in row:
                    continue
                outcomes = [case.run(kind, latency, seed, hours) for seed in range(seeds)]
                refused = [outcome.refused for outcome in outcomes]
                used = [100 * outcome.used for outcome in outcomes]
                print(
                    f"{row}{seeds:6}{max(refused):9}{sum(refused):7}{min(used):8.1f}{statistics.median(used):8.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 3,
        float(sys.argv[2]) if len(sys.argv) > 2 else 24.0,
        sys.argv[3] if len(sys.argv) > 3 else "",
    )
