"""A replica over two hundred hours: full harvests, deltas and sweeps in any order, cut down again and again.

Runs are merged and folded. Meanwhile rows come, change and go: in ties, late by up to twenty minutes, without another
modification time; what was deleted is created again, as it was or otherwise. Once nothing changes any more, a delta
and a sweep leave the current state equal to the provider's rows, byte for byte, but for those that changed without a
time that tells it; a sweep that compares whole records brings these as well. (FAULTS T01, T02, T08, T10, T11, T12,
C02, F05, R01; invariants 2, 5 and 10.)
"""

from __future__ import annotations

import asyncio
from collections import Counter

from harvester.api.compact import compact
from harvester.api.view import view
from harvester.config.schema import Config
from harvester.errors import HarvesterError
from harvester.store.verify import verify_tree
from tests.fakes.fs import PowerLoss
from tests.simulation.life import Key, Life
from tests.simulation.plays.crashes import attempt
from tests.simulation.subjects import LEADS, SUBJECTS, Subject
from tests.simulation.truth import check_disk
from tests.simulation.world import World

HOURS = 200.0
KINDS = len(SUBJECTS) + 1  # and leads
_RUNS = 14
_MODES = ("full", "delta", "delta", "delta", "auto", "sweep", "sweep")
_CRASHES = 3  # of one run; then it is left alone


async def play(world: World) -> None:
    await replicate(world, _subject(world))


async def play_shortly(world: World) -> None:
    """The same hours with fewer runs."""
    await replicate(world, _subject(world), runs=_RUNS // 2)


def _subject(world: World) -> Subject:
    subjects = (*SUBJECTS, LEADS)
    return subjects[world.seed % len(subjects)]


async def replicate(world: World, subject: Subject, *, runs: int = _RUNS) -> None:
    """One replica, until it equals the provider."""
    chance = world.faults
    async with world.serving(records=world.data.randint(20, 50), options={subject.served: dict(subject.options)}):
        config, life = subject.config(world), Life(world, subject)
        await _harvest(world, config, life, "full")
        naps = [chance.random() for _ in range(runs)]
        for nap in naps:
            await asyncio.sleep(nap / sum(naps) * HOURS * 3600)
            for _ in range(chance.randint(0, 8)):
                life.change()
            await _harvest(world, config, life, chance.choice(_MODES))
            if chance.random() < 0.25:
                _compact(world)
        life.any = False
        for mode in ("auto", "delta", "sweep"):  # the first may end what was begun before
            await asyncio.sleep(chance.uniform(0, 3600))
            await _harvest(world, config, life, mode)
        # What a broken merge has left changes nothing, before it is mended and after.
        check_state(world, subject, life, but=life.silent if subject.stamped else set())
        _mend(world)
        check_disk(world.machine)
        await _harvest(world, config, life, "sweep", whole_records=True)
        check_state(world, subject, life, but=set())


async def _harvest(world: World, config: Config, life: Life, mode: str, *, whole_records: bool = False) -> None:
    """Until it is complete, whatever happens to the machine on the way."""
    crashes, restless = 0, life.any
    most = world.faults.choice((0, 1, _CRASHES)) if restless else 0
    options = {"mode": mode, "allow_purge": True, "whole_records": whole_records}
    while not await attempt(world, config, life, world.faults if crashes < most else None, **options):
        crashes += 1
        assert crashes <= most + restless, f"{mode} is not complete although nothing interferes"
        life.any = restless and crashes < most  # a tie that keeps moving is told as that
        await asyncio.sleep(2 ** world.faults.uniform(0, 10))
    life.any = restless
    world.figures["crashes"] = world.figures.get("crashes", 0) + crashes


def _compact(world: World) -> None:
    """Merge shards, or fold runs into one; the machine may lose power meanwhile."""
    machine, chance = world.machine, world.faults
    if chance.random() < 0.5:
        machine.fs.disk.power = round(2 ** chance.uniform(0, 10))
    try:
        compact(machine.out, fold=chance.random() < 0.6, ports=machine.ports())
    except (PowerLoss, HarvesterError):
        if machine.fs.disk.power is None or machine.fs.disk.power > 0:
            raise
    off = machine.fs.disk.power is not None and machine.fs.disk.power <= 0
    machine.fs.disk.power = None
    if off:
        machine.crash()


def _mend(world: World) -> None:
    """What ``verify`` tells a user to do whose last compaction was broken off."""
    machine = world.machine
    found = [each for verdict in verify_tree(machine.files, machine.out) for each in verdict.problems]
    if any("`harvester compact` finishes it" in each for each in found):
        compact(machine.out, ports=machine.ports())


def check_state(world: World, subject: Subject, life: Life, *, but: set[Key]) -> None:
    """The current state is the provider's, byte for byte, save records whose keys are in *but*: these may be older."""
    for name in subject.resources:
        held, truth = _held(world, name), Counter(life.truth(name))
        mine, theirs = ({subject.key(name, line) for line in rows} for rows in (held, truth))
        extra = {key for key in mine - theirs if not (subject is LEADS and (name, key) in life.gone)}
        assert not theirs - mine, f"{name} lacks {len(theirs - mine)} of {len(theirs)}, as {min(theirs - mine)}"
        assert not extra, f"{name} holds {len(extra)} that there are no more, as {min(extra)}"
        wrong = [line for line in truth - held if (name, subject.key(name, line)) not in but]
        assert not wrong, f"{name} is wrong in {len(wrong)} of {len(truth)}, as {min(wrong)[:300]!r}"
        if but:
            world.figures["silent"] = world.figures.get("silent", 0) + (truth - held).total()


def check_nothing_missing(world: World, subject: Subject, life: Life) -> None:
    """Every record of the provider is in the current state as it is; deleted ones may be in it, too."""
    for name in subject.resources:
        truth = Counter(life.truth(name))
        missing = truth - _held(world, name)
        assert not missing, f"{name} lacks {missing.total()} of {truth.total()}, as {min(missing)[:300]!r}"


def _held(world: World, resource: str) -> Counter[bytes]:
    """The lines of the current state."""
    lines: list[bytes] = []
    view(world.machine.out, resource, write=lines.append, ports=world.machine.ports())
    return Counter(b"".join(lines).splitlines())
