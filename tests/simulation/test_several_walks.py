"""What several walks gain and cost, on virtual time: the real client, the sandbox, answers of 50 ms."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from harvester.config.schema import BudgetConfig
from harvester.model import Window
from harvester.store.manifest import Manifest
from tests.simulation import loop
from tests.simulation.truth import finished, held
from tests.simulation.world import World, simulate

UNLIMITED = (Window(requests=1_000_000, seconds=1),)
LANES = 8


@dataclass(frozen=True)
class Harvest:
    """How one harvest went."""

    manifest: Manifest
    seconds: float
    ends: list[float]  # of the data requests, in seconds from the first one

    @property
    def rate(self) -> float:
        return self.manifest.records / self.seconds

    @property
    def tail(self) -> float:
        """Requests a second while the last tenth of them ended, against the mean of all."""
        last = self.ends[-max(2, len(self.ends) // 10) :]
        return (len(last) - 1) / (last[-1] - last[0]) / (len(self.ends) / self.ends[-1])


@pytest.fixture(autouse=True)
def _no_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that stalls for two seconds now and then is another test's."""
    monkeypatch.setattr(loop, "_SLOW", 0.0)


def harvests(
    provider: str,
    walk: str,
    *,
    served: str = "spark_reso",
    records: int = 2_000,
    page_size: int = 20,
    times: int = 1,
    windows: tuple[Window, ...] = UNLIMITED,
    seed: int = 1,
    **settings: Any,
) -> list[Harvest]:
    """Harvest the listings that *served* serves *times* times by one walk, from the same directory."""
    found: list[Harvest] = []

    async def play(world: World) -> None:
        options = {"spark_reso": {"strict": False}}
        async with world.serving(records=records, quota=False, options=options, **settings) as sandbox:
            world.think = 0.05
            config = world.config(served, page_size=page_size, walk=walk, resources=("Property",))
            budget = BudgetConfig(windows=windows, in_flight=LANES)
            source = replace(config.sources[served], provider=provider, budget=budget)
            for _ in range(times):
                began, before = world.loop.time(), len(world.exchanges)
                report = await world.harvest(replace(config, sources={served: source}), mode="full")
                seconds = world.loop.time() - began
                assert report.complete
                run, manifest = finished(world.machine)["Property"]
                assert held(world.machine.files, run, manifest) == Counter(sandbox.simulator(served).truth("Property"))
                asked = world.exchanges[before:]
                ends = sorted(each.done - asked[0].at for each in asked)
                # Without what follows the full walks: the closing delta and the count.
                found.append(Harvest(manifest, seconds, ends[: sum(w.requests for w in full(manifest))]))
                await asyncio.sleep(3_600)

    simulate("several walks", seed, play)
    return found


def full(manifest: Manifest) -> list[Any]:
    return [walk for walk in manifest.walks if walk.phase == "full"]


# ------------------------------------------------------------------ as fast as there are lanes


@pytest.mark.slow
@pytest.mark.parametrize("walk", ["windows", "ranges"])
def test_learned_parts_of_a_chain_are_four_times_as_fast_for_a_tenth_more_requests(walk: str) -> None:
    """100 pages, 8 lanes; the single chain follows the links of the same server."""
    page_size, records = (50, 5_000) if walk == "windows" else (30, 3_000)
    (chain,) = harvests("spark_reso", "chain", records=records, page_size=page_size)
    _, learned = harvests("odata", walk, records=records, page_size=page_size, times=2)
    assert learned.rate >= 4 * chain.rate
    assert learned.manifest.requests <= 1.1 * chain.manifest.requests
    assert learned.manifest.keys == chain.manifest.keys


@pytest.mark.slow
def test_a_first_harvest_learns_on_the_way() -> None:
    (chain,) = harvests("spark_reso", "chain", records=2_000, page_size=20)
    (first,) = harvests("odata", "windows", records=2_000, page_size=20)
    assert first.rate >= 3 * chain.rate


@pytest.mark.slow
def test_the_tail_keeps_the_lanes_busy() -> None:
    """The last tenth of the requests ends at 83 % of the mean rate on average over seeds, 74 % at the worst.

    Many records of one time are the limit: they are read by one walk, however many pages they fill.
    """
    (_, learned) = harvests("centris", "windows", served="centris", records=3_000, page_size=10, times=2)
    assert learned.tail >= 0.7


# ------------------------------------------------------------------ as cheap as one walk


@pytest.mark.parametrize(("records", "page_size"), [(3_600, 100), (2_000, 50)])
def test_a_full_harvest_of_centris_costs_three_percent_above_the_least(records: int, page_size: int) -> None:
    """At 20 requests a minute, the default walk; the closing delta and its count come on top."""
    twenty = (Window(requests=20, seconds=60),)
    (harvest,) = harvests("centris", "keyset", served="centris", records=records, page_size=page_size, windows=twenty)
    (walk,) = full(harvest.manifest)
    assert walk.requests <= 1.03 * math.ceil(records / page_size)


def test_a_quota_that_one_walk_fills_is_not_spent_on_several() -> None:
    twenty = (Window(requests=20, seconds=60),)
    (harvest,) = harvests("centris", "windows", served="centris", records=2_000, page_size=50, windows=twenty)
    assert len(full(harvest.manifest)) == 1
