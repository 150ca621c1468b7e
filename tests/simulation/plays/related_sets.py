"""Related sets of both Sparks, harvested, brought up to date and swept while they change, cut down again and again.

Once nothing changes any more, two deltas leave every set of a living listing as it is at the provider, whatever
happened on the way; then not one set is asked for again, because no stamp has moved; and a sweep makes the view of
every related resource equal the truth, byte for byte
(FAULTS P06, P12, R01, R05, T08, T09, T12; invariants 2, 3, 5, 10).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

from harvester.api.view import view
from harvester.config.schema import Config
from harvester.engine.heads_of import heads_of
from harvester.events import Event, PageFetched
from harvester.store.verify import verify_tree
from tests.simulation import rules
from tests.simulation.changes import Changes
from tests.simulation.plays.crashes import attempt
from tests.simulation.world import World

PARENTS = {"spark": ("listings", "Id"), "spark_reso": ("Property", "ListingKey")}
RELATED = {
    "spark": ("photos", "documents", "rooms", "openhouses"),
    "spark_reso": ("Media", "Room", "Unit", "OpenHouse"),
}
_MOST = 8  # crashes of one seed; then it is left alone


async def play(world: World) -> None:
    chance = world.faults
    provider = chance.choice(("spark", "spark_reso"))
    parent, _ = PARENTS[provider]
    chosen = tuple(sorted(chance.sample(RELATED[provider], chance.randint(1, 4))))
    options = {"spark_reso": {"nested": chance.choice((None, 1, 3))}}
    async with world.serving(records=world.data.randint(12, 36), options=options) as sandbox:
        config = world.config(
            provider, resources=(parent,), related=chosen, page_size=world.data.choice((2, 7, 50, None))
        )
        unrest = _Unrest(world, provider)
        drawn = rules.draw(chance, provider) if chance.random() < 0.4 else []
        sandbox.faults.replace(drawn)
        crashes = 0
        for mode in (
            "full",
            *chance.choices(("auto", "delta", "auto", "sweep"), k=chance.randint(1, 4)),
            "auto",
            "auto",
        ):
            while not await attempt(
                world, config, unrest, chance if crashes < _MOST else None, mode=mode, allow_purge=True
            ):
                crashes += 1
                if crashes >= _MOST:
                    sandbox.faults.replace([])
                    unrest.any = False
                _check_runs(world)
                await world.machine.clock.sleep(chance.uniform(0, 30))
            _check_runs(world)
            await world.machine.clock.sleep(2 ** chance.uniform(0, 12))
            unrest.change(chance.randint(0, 3))
        await _quiet(world, provider, config, unrest)
        world.figures["crashes"] = crashes


async def _quiet(world: World, provider: str, config: Config, unrest: _Unrest) -> None:
    """Nothing changes any more, and nothing fails."""
    sandbox = world.sandbox
    sandbox.faults.replace([])
    unrest.any = False
    for mode in ("auto", "auto", "auto"):  # the first may end what was begun before
        await world.machine.clock.sleep(5)
        asked = len(world.requests(provider))
        assert await attempt(world, config, unrest, None, mode=mode)
    names = [_full_name(provider, each) for each in config.sources[provider].related]
    for name in names:
        check_sets(world, provider, name)
    sets = [entry.path for entry in world.requests(provider)[asked:] if _is_for_a_set(entry.path)]
    assert not sets, f"no stamp has moved, and {len(sets)} sets were asked for: {sets[0]}"
    assert await attempt(world, config, unrest, None, mode="sweep", allow_purge=True)
    for name in names:
        held, truth = _view(world, name), set(world.sandbox.simulator(provider).truth(name))
        assert held == truth, f"{name}: {len(truth - held)} missing, {len(held - truth)} too many"
    _check_runs(world)


def _is_for_a_set(path: str) -> bool:
    return "/Media" in path or "/listings/" in path or "Property(" in path


def _full_name(provider: str, name: str) -> str:
    return f"listings/{name}" if provider == "spark" else name


def check_sets(world: World, provider: str, name: str) -> None:
    """The sets of every listing that lives are the provider's; those of listings that have gone wait for a sweep."""
    parent, key = PARENTS[provider]
    simulator = world.sandbox.simulator(provider)
    living = {json.loads(line)[key] for line in simulator.truth(parent)}
    held, truth = _by_owner(_view(world, name)), _by_owner(simulator.truth(name))
    for owner in living:
        assert held[owner] == truth[owner], f"{name} of {owner}: {len(held[owner])} held, there are {len(truth[owner])}"


def _by_owner(lines: Iterable[bytes]) -> defaultdict[str, set[bytes]]:
    sets: defaultdict[str, set[bytes]] = defaultdict(set)
    for line in lines:
        record = json.loads(line)
        owner = next(record[name] for name in ("_ListingKey", "ResourceRecordKey", "ListingKey") if name in record)
        sets[owner].add(line)
    return sets


def _view(world: World, name: str) -> set[bytes]:
    machine, written = world.machine, list[bytes]()
    view(machine.out, name, write=written.append, ports=machine.ports())
    return set(b"".join(written).split(b"\n")[:-1])


def _check_runs(world: World) -> None:
    machine = world.machine
    problems = [
        f"{verdict.path}: {problem}"
        for verdict in verify_tree(machine.files, machine.out, heads_of=heads_of)
        for problem in verdict.problems
    ]
    assert not problems, problems


class _Unrest(Changes):
    """A sink: listings and their sets change at any page, no listing twice in a second (FAULTS T08)."""

    def __init__(self, world: World, provider: str) -> None:
        self._world, self._provider = world, provider
        self.any, self.resources = world.data.random() < 0.7, []
        self._second = 0

    def __call__(self, event: Event) -> None:
        if self.any and isinstance(event, PageFetched) and self._world.data.random() < 0.3:
            self.change(1)

    def change(self, number: int) -> None:
        """Change so many listings, if none has changed in this second of the server's clock."""
        second = int(self._world.sandbox.clock.now().timestamp())
        if second > self._second:
            self._second = second
            self._world.sandbox.mutate(number, self._provider)
