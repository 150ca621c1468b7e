"""Play many seeds: ``python -m tests.simulation --seeds 100 --from 0 [--scenario crashes]``.

A seed that fails prints the one command that plays it again; the same seed gives the same trace in any process.
Exit status: 0 all passed, 1 a seed failed, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from tests.simulation.plays import kinds, scenarios
from tests.simulation.world import Outcome, simulate


def replay(scenario: str, seed: int) -> str:
    """The command that plays one seed again."""
    return f"{sys.executable} -m tests.simulation --scenario {scenario} --from {seed} --seeds 1"


def main(arguments: Sequence[str] | None = None) -> int:
    known = scenarios()
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description="Play simulated harvests.")
    parser.add_argument("--seeds", type=int, default=10, help="how many of each scenario, or of each kind of it")
    parser.add_argument("--from", dest="start", type=int, default=0, help="the first seed")
    parser.add_argument("--scenario", choices=sorted(known), action="append", help="all of them when not given")
    parser.add_argument("--keep-going", action="store_true", help="play on after a seed has failed")
    chosen = parser.parse_args(arguments)
    failed = 0
    for name in chosen.scenario or known:
        outcomes: list[Outcome] = []
        began = time.perf_counter()
        each = kinds(known[name]) if chosen.seeds > 1 else 1  # one seed is one that failed before
        for seed in range(chosen.start * each, (chosen.start + chosen.seeds) * each):
            try:
                outcome = simulate(name, seed, known[name])
            except Exception:
                traceback.print_exc()
                print(f"{name} {seed} failed; play it again with\n  {replay(name, seed)}", flush=True)
                failed += 1
                if not chosen.keep_going:
                    return 1
                continue
            outcomes.append(outcome)
            if chosen.seeds == 1:
                print(f"{name} {seed} {outcome.hash}", flush=True)
        _sum_up(name, outcomes, time.perf_counter() - began)
    return 1 if failed else 0


def _sum_up(name: str, outcomes: Sequence[Outcome], seconds: float) -> None:
    if not outcomes:
        return
    print(
        f"{name}: {len(outcomes)} seeds passed, {sum(each.hours for each in outcomes):,.1f} virtual hours, "
        f"{sum(each.requests for each in outcomes):,} requests, {seconds / len(outcomes):.2f} s a seed"
    )
    for figure in sorted({name for each in outcomes for name in each.figures}):
        values = [each.figures[figure] for each in outcomes if figure in each.figures]
        print(f"  {figure}: least {min(values):.4g}, mean {sum(values) / len(values):.4g}, most {max(values):.4g}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
