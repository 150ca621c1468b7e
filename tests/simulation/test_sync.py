"""``sync`` over hours of virtual time, against the sandbox: rhythm, failures, quota, and the truth at the end."""

from __future__ import annotations

import asyncio
import gc
import os
from itertools import pairwise

import anyio
import msgspec
import pytest

from harvester.config.schema import BudgetConfig
from harvester.config.secrets import Secret
from harvester.errors import Locked
from harvester.events import RoundFinished, RoundStarted
from harvester.model import Window
from harvester.sandbox.faults import Match, Rule
from tests.simulation.keeping import HOUR, changing, check_view, keeping, resource_of, runs_of
from tests.simulation.truth import check_disk
from tests.simulation.world import World, simulate

_ROUNDS = int(os.environ.get("SYNC_ROUNDS", "100"))
_RESOURCES = {
    "centris": ("Property", "Member", "Office"),
    "ims": ("Database", "Property"),
    "spark": ("listings",),
    "spark_reso": ("Property",),
    "idx_broker": ("clients/featured", "mls/cities"),
}


@pytest.mark.parametrize("provider", sorted(_RESOURCES))
def test_hours_of_rounds_leave_the_view_equal_to_the_truth(provider: str) -> None:
    """Rows are inserted, changed and deleted all the time; once that has stopped, a sweep and a delta later all is
    there and nothing else."""

    async def play(world: World) -> None:
        async with world.serving(records=60, quota=False) as sandbox:
            source = {"resources": _RESOURCES[provider]}
            keeper = keeping(world, provider, source=source, sweep_every=HOUR)
            keeping_on = asyncio.ensure_future(keeper.keep(lasting=2.3 * HOUR))
            async with changing(world, 170.0, lambda: sandbox.mutate(1, provider)):
                await asyncio.sleep(1.2 * HOUR)
            report = await keeping_on
            assert report.exit_status == 0
            assert report.health.current
            assert not world.inside_a_pause()
            check_disk(world.machine)
            check_view(world, provider, _RESOURCES[provider])

    simulate(f"sync of {provider}", 1, play)


def test_each_part_of_a_source_keeps_its_interval_and_they_do_not_begin_together() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=40, quota=False):
            keeper = keeping(world, "centris", others=("spark_reso",), source={"resources": ("Property", "Member")})
            await keeper.keep(lasting=HOUR)
            first = set()
            for source, resource in (("centris", "Property"), ("centris", "Member"), ("spark_reso", "Property")):
                starts = keeper.starts(source, resource)
                apart = [after - before for before, after in pairwise(starts)]
                assert all(285.0 <= each <= 301.0 for each in apart), apart
                first.add(starts[0])
            assert len(first) == 3

    simulate("rhythm", 1, play)


def test_a_slow_source_delays_no_other_and_is_followed_at_once_by_one_round() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=40, quota=False) as sandbox:
            sandbox.faults.replace([Rule(fault="latency:25", match=Match(provider="spark_reso"), times=100_000)])
            source = {"resources": ("Property",), "page_size": 3, "budget": BudgetConfig(in_flight=1)}
            keeper = keeping(world, "spark_reso", others=("centris",), source=source)
            async with changing(world, 40.0, lambda: sandbox.mutate(8, "spark_reso")):
                await keeper.keep(lasting=2 * HOUR)
            starts = keeper.starts("centris", "Property")
            assert max(b - a for a, b in pairwise(starts)) <= 301.0
            slow = [event for event in keeper.rounds if event.source == "spark_reso"]
            assert any(event.seconds > 300.0 and event.next_in == 0.0 for event in slow)
            open_rounds = 0  # never a pile: one round at a time
            for event in keeper.events:
                if event.source == "spark_reso":  # type: ignore[attr-defined]
                    open_rounds += 1 if isinstance(event, RoundStarted) else -1
                    assert open_rounds in {0, 1}

    simulate("slow source", 1, play)


def test_a_source_that_fails_for_hours_is_asked_rarely_and_its_sibling_stays_current() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=40, quota=False) as sandbox:
            keeper = keeping(world, "spark_reso", others=("centris",), source={"resources": ("Property",)})
            going = asyncio.ensure_future(keeper.keep(lasting=9 * HOUR))
            await asyncio.sleep(0.5 * HOUR)
            down = Match(provider="spark_reso")
            sandbox.faults.replace([Rule(fault="404", match=down, times=1_000_000)])
            seen = len(world.requests("spark_reso"))
            await asyncio.sleep(6 * HOUR)
            health = keeper.pulse.health()
            assert not health.current
            assert not resource_of(health, "spark_reso", "Property").current
            assert resource_of(health, "spark_reso", "Property").failures > 3
            assert "404" in resource_of(health, "spark_reso", "Property").reason
            assert resource_of(health, "centris", "Property").current
            assert 5 < len(world.requests("spark_reso")) - seen < 15, "one try in an hour at last"
            sandbox.mutate(5, "spark_reso")
            sandbox.faults.replace([])
            await asyncio.sleep(1.3 * HOUR)
            assert keeper.pulse.health().current, "it is asked again by itself"
            report = await going
            assert report.exit_status == 0

    simulate("failing source", 1, play)


def test_a_refused_credential_stops_its_source_and_no_other() -> None:
    """FAULTS A03: it is not tried again, for as long as the process lives."""

    async def play(world: World) -> None:
        async with world.serving(records=40, quota=False):
            keeper = keeping(world, "spark_reso", others=("centris",))
            broken = msgspec.structs.replace(keeper.config.sources["spark_reso"], token=Secret("wrong"))
            keeper.config.sources["spark_reso"] = broken
            report = await keeper.keep(lasting=HOUR)
            spark, centris = (
                next(each for each in report.health.sources if each.source == name)
                for name in ("spark_reso", "centris")
            )
            assert "refuses the credential" in spark.stopped
            assert not spark.current
            assert centris.current
            assert len(world.requests("spark_reso")) <= 8, "what was in flight, and nothing more"
            assert report.exit_status == 77

    simulate("refused", 1, play)


def test_when_every_source_is_refused_the_process_ends() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=40, quota=False):
            keeper = keeping(world, "spark_reso", source={"token": Secret("wrong")})
            report = await asyncio.wait_for(keeper.keep(), 60)
            assert report.exit_status == 77

    simulate("all refused", 1, play)


def test_a_spent_quota_holds_the_rounds_back_and_is_never_overdrawn() -> None:
    """12 requests an hour for three resources every five minutes: rounds wait, nothing is refused, all stay whole."""

    async def play(world: World) -> None:
        async with world.serving(records=20, quota=False):
            budget = BudgetConfig(windows=(Window(requests=12, seconds=HOUR),))
            source = {"budget": budget, "page_size": 50}
            keeper = keeping(world, "centris", source=source)
            report = await keeper.keep(lasting=10 * HOUR)
            times = [entry.at for entry in world.exchanges]
            for index, began in enumerate(times):
                assert sum(began <= other < began + HOUR for other in times[index:]) <= 12 + 2  # two token requests
            assert len(times) >= 9 * 12, "and all of it is used"
            assert all(result.verdict in {"complete", "interrupted"} for e in keeper.rounds for result in e.results)
            waiting = next(each for each in report.health.sources if each.source == "centris")
            assert waiting.paused_until is not None
            check_disk(world.machine)

    simulate("scarce", 1, play)


def test_where_the_wait_is_too_long_a_round_ends_and_the_next_begins_when_the_quota_is_free() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=20, quota=False):
            budget = BudgetConfig(windows=(Window(requests=12, seconds=HOUR),))
            keeper = keeping(world, "centris", source={"budget": budget, "page_size": 50}, max_wait=60.0)
            await keeper.keep(lasting=6 * HOUR)
            refused = [event for event in keeper.rounds if event.results[0].verdict == "failed"]
            assert refused
            assert any(event.next_in is not None and event.next_in > 1_000 for event in refused)
            assert keeper.modes("Property")[-1] == "delta"

    simulate("max wait", 1, play)


def test_changes_go_before_sweeps_and_sweeps_before_first_harvests() -> None:
    """With one request in ten seconds, a source that is read for the first time leaves its sibling's deltas alone."""

    async def play(world: World) -> None:
        async with world.serving(records=900, quota=False):
            budget = BudgetConfig(windows=(Window(requests=1, seconds=10.0),))
            source = {"budget": budget, "resources": ("Office", "Property"), "page_size": 1}
            keeper = keeping(world, "spark_reso", source=source)
            going = asyncio.ensure_future(keeper.keep(lasting=2 * HOUR))
            await asyncio.sleep(1.9 * HOUR)
            office = [e for e in keeper.rounds if e.results[0].resource == "Office" and e.results[0].mode == "delta"]
            assert "Property" not in {e.results[0].resource for e in keeper.rounds}, "it is still read as a whole"
            assert len(office) >= 10
            assert max(event.seconds for event in office) < 60.0
            await going

    simulate("priorities", 1, play)


def test_rounds_without_changes_leave_neither_runs_nor_memory_behind() -> None:
    """``SYNC_ROUNDS=1000`` for a longer look."""

    async def play(world: World) -> None:
        async with world.serving(records=30, quota=False):
            keeper = keeping(world, "spark_reso", source={"resources": ("Property",), "page_size": 50})
            sizes: list[int] = []

            async def measure() -> None:
                for _ in range(4):
                    await asyncio.sleep(_ROUNDS // 4 * 296.0)
                    for grows in (world.exchanges, keeper.events):  # the test's own memory
                        grows.clear()
                    gc.collect()
                    sizes.append(len(gc.get_objects()))

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(measure)
                report = await keeper.keep(rounds=_ROUNDS)
            found = resource_of(report.health, "spark_reso", "Property")
            assert (found.rounds, found.requests < _ROUNDS + 10) == (_ROUNDS, True), "one request a round"
            assert len(runs_of(world, "Property")) == 1
            assert sizes[-1] - sizes[1] < _ROUNDS // 2, sizes

    simulate("thousand", 1, play)


def test_a_process_that_is_killed_anywhere_is_followed_by_one_that_goes_on() -> None:
    """FAULTS R01, F06: power is lost again and again, in rounds of any kind; at the end all is true."""

    async def play(world: World) -> None:
        chance = world.faults
        async with world.serving(records=90, quota=False) as sandbox:
            source = {"resources": ("Property",)}
            keeper = keeping(world, "centris", source=source, sweep_every=HOUR)
            for _ in range(6):
                going = asyncio.ensure_future(keeper.keep())
                async with changing(world, 400.0, lambda: sandbox.mutate(1, "centris")):
                    await asyncio.sleep(chance.uniform(0, 1) * chance.choice((1.0, 400.0, 1.5 * HOUR)))
                    world.machine.fs.disk.power = chance.randrange(200)
                    await asyncio.wait([going], timeout=HOUR)
                world.machine.fs.disk.power = 0
                going.cancel()
                await asyncio.wait([going])
                if not going.cancelled():
                    going.exception()
                world.machine.fs.disk.power = None
                world.machine.crash()
                check_disk(world.machine)
            report = await keeper.keep(lasting=2 * HOUR)
            assert report.exit_status == 0
            check_disk(world.machine)
            check_view(world, "centris", ("Property",))

    for seed in range(3):
        simulate("sync killed", seed, play)


def test_a_stop_in_the_middle_of_the_first_harvest_is_gone_on_with() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=300, quota=False) as sandbox:
            sandbox.faults.replace([Rule(fault="latency:5", match=Match(provider="spark_reso"), times=100_000)])
            source = {"resources": ("Property",), "page_size": 10}
            keeper = keeping(world, "spark_reso", source=source)
            stop = anyio.Event()
            going = asyncio.ensure_future(keeper.keep(stop=stop))
            await asyncio.sleep(70.0)
            stop.set()
            report = await going
            assert report.exit_status == 130
            asked = len(world.requests("spark_reso"))
            sandbox.faults.replace([])
            again = keeping(world, "spark_reso", source=source)
            again.config = keeper.config
            report = await again.keep(rounds=1)
            assert report.exit_status == 0
            assert again.modes("Property") == ["full"]
            assert len(world.requests("spark_reso")) < 30 + 10 + 8, f"{asked} were asked before"
            check_view(world, "spark_reso", ("Property",))

    simulate("stopped", 1, play)


def test_what_earlier_processes_left_is_known_at_the_start() -> None:
    """Sweeps and the health of a resource outlive the process."""

    async def play(world: World) -> None:
        async with world.serving(records=30, quota=False):
            keeper = keeping(world, "spark_reso", source={"resources": ("Property",)}, sweep_every=4 * HOUR)
            await keeper.keep(lasting=3 * HOUR)
            again = keeping(world, "spark_reso", source={"resources": ("Property",)})
            again.config = keeper.config
            await again.keep(lasting=1.5 * HOUR)
            assert keeper.modes("Property").count("sweep") == 0
            assert again.modes("Property").count("sweep") == 1

    simulate("restarted", 1, play)


def test_a_sweep_that_keeps_failing_does_not_keep_deltas_from_their_work() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=60, quota=False) as sandbox:
            source = {"resources": ("Property",), "page_size": 10}
            keeper = keeping(world, "centris", source=source, sweep_every=HOUR)
            going = asyncio.ensure_future(keeper.keep(lasting=9 * HOUR))
            await asyncio.sleep(0.5 * HOUR)
            listing = Match(provider="centris", path="$select")
            sandbox.faults.replace([Rule(fault="403", match=listing, times=1_000_000)])
            await asyncio.sleep(6 * HOUR)
            modes = keeper.modes("Property")
            assert modes.count("sweep") >= 2
            assert modes[20:].count("delta") > modes[20:].count("sweep")
            sandbox.faults.replace([])
            report = await going
            assert report.exit_status == 0
            assert keeper.modes("Property")[-12:].count("sweep") >= 1

    simulate("sweep fails", 1, play)


def test_a_sweep_does_not_wait_for_the_next_round() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=30, quota=False):
            source = {"resources": ("Property",)}
            keeper = keeping(world, "centris", source=source, every=24 * HOUR, sweep_every=HOUR)
            await keeper.keep(lasting=3.5 * HOUR)
            assert keeper.modes("Property") == ["full", "sweep", "sweep", "sweep"]

    simulate("sweep due", 1, play)


def test_a_second_sync_of_a_source_is_refused_and_a_run_beside_it_is_waited_for() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=60, quota=False) as sandbox:
            sandbox.faults.replace([Rule(fault="latency:20", times=100_000)])
            source = {"resources": ("Property",), "page_size": 5}
            keeper = keeping(world, "centris", source=source)
            run = asyncio.ensure_future(world.harvest(keeper.config))
            await asyncio.sleep(30.0)
            going = asyncio.ensure_future(keeper.keep(lasting=2 * HOUR))
            await asyncio.sleep(5.0)
            with pytest.raises(Locked, match="another harvester sync keeps the source centris"):
                await keeping(world, "centris", source=source).keep()
            assert (await run).complete
            report = await going
            assert report.exit_status == 0
            assert keeper.modes("Property")[0] == "delta", "the run was its ground"
            first = next(event for event in keeper.events if isinstance(event, RoundStarted))
            assert first.at >= (await run).started  # type: ignore[operator]

    simulate("locked", 1, play)


def test_a_metadata_service_that_is_down_at_the_start_delays_its_source_only() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=40, quota=False) as sandbox:
            down = Match(provider="spark_reso", path="$metadata")
            sandbox.faults.replace([Rule(fault="404", match=down, times=1_000_000)])
            keeper = keeping(world, "spark_reso", others=("centris",), source={"resources": ("all",)})
            going = asyncio.ensure_future(keeper.keep(lasting=2 * HOUR))
            await asyncio.sleep(HOUR)
            health = keeper.pulse.health()
            assert resource_of(health, "centris", "Property").current
            assert not health.sources[0].resources
            sandbox.faults.replace([])
            report = await going
            assert report.health.current, report.health.sources[0]
            assert report.exit_status == 0

    simulate("metadata down", 1, play)


def test_a_failure_that_nobody_foresaw_is_told_and_ends_nothing() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=30, quota=False):
            keeper = keeping(world, "spark_reso", others=("centris",), source={"resources": ("Property",)})
            ports = world.machine.ports()
            real, failing = ports.fs.names, [5]

            def names(directory: object) -> object:
                if "spark_reso" in str(directory) and failing[0]:
                    failing[0] -= 1
                    raise ZeroDivisionError("surprise")
                return real(directory)  # type: ignore[arg-type]

            ports.fs.names = names  # type: ignore[method-assign, assignment]
            try:
                report = await keeper.keep(lasting=3 * HOUR, ports=ports)
            finally:
                ports.fs.names = real  # type: ignore[method-assign]
            told = [result.reason for event in keeper.rounds for result in event.results if result.verdict == "failed"]
            assert any("this is a bug" in reason and "surprise" in reason for reason in told)
            assert report.exit_status == 0

    simulate("bug", 1, play)


def test_rounds_tell_what_was_new() -> None:
    async def play(world: World) -> None:
        async with world.serving(records=30, quota=False) as sandbox:
            keeper = keeping(world, "centris", source={"resources": ("Office",)})
            going = asyncio.ensure_future(keeper.keep(lasting=2 * HOUR))
            await asyncio.sleep(HOUR)
            sandbox.mutate(40, "centris")
            await going
            new = [event.results[0].changes for event in keeper.rounds if isinstance(event, RoundFinished)]
            assert sum(each > 0 for each in new) <= 3, new
            assert len(runs_of(world, "Office")) == sum(each > 0 for each in new)

    simulate("new", 1, play)
