"""Replicas over many hours, of every provider: see ``plays.replicas``. ``make simulate`` plays more seeds of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
import pytest

from harvester.sandbox.exchange import Reply, Sandbox
from harvester.store.layout import ShardKind, data_kind
from harvester.store.shards import read_lines
from tests.simulation.hiding import without
from tests.simulation.life import Key, Life
from tests.simulation.plays import replicas
from tests.simulation.plays.crashes import attempt
from tests.simulation.plays.replicas import check_nothing_missing
from tests.simulation.subjects import LEADS, SUBJECTS, Subject
from tests.simulation.truth import check_disk, finished
from tests.simulation.world import World, simulate

EVERY = pytest.mark.parametrize("subject", [*SUBJECTS, LEADS], ids=lambda each: f"{each.provider}-{each.resources[-1]}")
LISTED = pytest.mark.parametrize("subject", SUBJECTS, ids=lambda each: each.provider)  # leads are never buried
SEEDS = 100
DAY = 86_400.0


def served(world: World, subject: Subject, **settings: Any) -> AbstractAsyncContextManager[Sandbox]:
    return world.serving(options={subject.served: dict(subject.options)}, **settings)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SEEDS))
def test_after_200_hours_a_delta_and_a_sweep_leave_the_replica_equal(seed: int) -> None:
    """FAULTS T01, T02, T08 to T12, C02, F05, R01; invariants 2, 5 and 10."""
    outcome = simulate("replicas", seed, replicas.play_shortly)
    assert outcome.hours >= replicas.HOURS


# ------------------------------------------------------------------ without any sweep


@EVERY
def test_two_deltas_after_the_last_change_leave_no_stamped_row_missing(subject: Subject) -> None:
    """FAULTS T01, T02, T03, T07: in ties, late by less than the overlap, with as many digits as there are."""

    async def play(world: World) -> None:
        chance = world.faults
        async with served(world, subject, records=world.data.randint(20, 50)) as sandbox:
            config = subject.config(world)
            life = Life(world, subject, silent=False, late=subject.overlap - 60.0)
            assert await attempt(world, config, life, None)
            for _ in range(4):
                await asyncio.sleep(2 ** chance.uniform(5, 15))
                if subject.provider == "ims" and not sandbox.clock.skew and chance.random() < 0.3:
                    sandbox.clock.skew = -3_600.0  # the night the clocks go back
                for _ in range(chance.randint(1, 6)):
                    life.change()
                assert await attempt(world, config, life, None, mode="delta")
            life.any = False
            for _ in range(2):
                await asyncio.sleep(2 ** chance.uniform(0, 12))
                assert await attempt(world, config, life, None, mode="delta")
            check_disk(world.machine)
            check_nothing_missing(world, subject, life)

    for seed in range(3):
        simulate(f"two deltas of {subject.provider}", seed, play)


# ------------------------------------------------------------------ what a listing leaves out


Spoil = Callable[[World, Subject], None]
Departed = dict[str, set[tuple[str, ...]]]


def hide(world: World, kept: set[str], subject: Subject) -> None:
    """Leave every row but *kept*, by the bytes of its key, out of what lists the keys."""
    exchange = world.sandbox.exchange

    async def rigged(**asked: Any) -> Reply:
        reply = await exchange(**asked)
        if reply.status != 200 or not lists_keys(subject, str(asked["target"])):
            return reply
        body = without(reply.body, lambda row: not named(row) & kept)
        return reply if body is None else msgspec.structs.replace(reply, body=body)

    world.sandbox.exchange = rigged  # type: ignore[method-assign]


def lists_keys(subject: Subject, target: str) -> bool:
    return "select=" in target or (subject.provider == "idx_broker" and "clients/" in target)


def named(row: Any) -> set[str]:
    """What may be the key of *row*."""
    return {
        str(value) for name, value in row.items() if name in {"ListingKey", "ListingId", "Id", "listingID", "MLSID"}
    }


def keys_of(world: World, subject: Subject) -> list[str]:
    simulator = world.sandbox.simulator(subject.served)
    return sorted(
        key for name in subject.resources for line in simulator.truth(name) for key in named(json.loads(line))
    )


def cut(world: World, subject: Subject) -> None:
    keys = keys_of(world, subject)
    hide(world, set(keys[: len(keys) * 6 // 10]), subject)


def empty(world: World, subject: Subject) -> None:
    hide(world, set(), subject)


def fail_at_the_end(world: World, subject: Subject) -> None:
    """The page with the last key, and each that has nothing behind it, is never answered."""
    exchange, last = world.sandbox.exchange, keys_of(world, subject)[-1].encode()

    async def rigged(**asked: Any) -> Reply:
        reply = await exchange(**asked)
        if lists_keys(subject, str(asked["target"])) and reply.status == 200 and last in reply.body:
            return msgspec.structs.replace(reply, status=500, body=b"")
        return reply

    world.sandbox.exchange = rigged  # type: ignore[method-assign]


@LISTED
@pytest.mark.parametrize("spoil", [cut, empty, fail_at_the_end])
def test_a_listing_that_leaves_rows_out_buries_nobody(subject: Subject, spoil: Spoil) -> None:
    """FAULTS T10: cut at 60 %, empty, or failing on its last page; some rows really are deleted."""

    async def play(world: World) -> None:
        async with served(world, subject, records=60, gzip=False):
            config, life = subject.config(world), Life(world, subject)
            life.any = False
            assert await attempt(world, config, life, None)
            life.change()
            await asyncio.sleep(DAY)
            spoil(world, subject)
            # Where it cannot be asked for what is missing, only the guard against many deletions helps.
            allowed = subject.provider != "idx_broker"
            report = await world.harvest(config, mode="sweep", resources=life.resources, allow_purge=allowed)
            assert not report.complete
            assert departed(world) == ({}, {})
            check_disk(world.machine)

    simulate(f"{spoil.__name__} {subject.provider}", 0, play)


@LISTED
def test_what_is_deleted_is_buried_and_nothing_else(subject: Subject) -> None:
    """Invariant 10; a record that is in another resource now is not deleted."""

    async def play(world: World) -> None:
        async with served(world, subject, records=60):
            config, life = subject.config(world), Life(world, subject)
            life.any = False
            assert await attempt(world, config, life, None)
            before, lines = life.all_keys(), life.all_lines()
            for _ in range(12):
                life.change()
            await asyncio.sleep(DAY)
            assert await attempt(world, config, life, None, mode="sweep", allow_purge=True)
            if subject.provider == "idx_broker":  # read whole again, and written where it differs
                written = sum(manifest.records for _, manifest in finished(world.machine).values())
                assert written == len(life.all_lines() - lines)
            left, there = before - life.all_keys(), {key for _, key in life.all_keys()}
            buried, moved = departed(world)
            assert as_pairs(buried) == {(name, key) for name, key in left if key not in there}
            assert as_pairs(moved) == {(name, key) for name, key in left if key in there}

    for seed in range(3):
        simulate(f"buried of {subject.provider}", seed, play)


def departed(world: World) -> tuple[Departed, Departed]:
    """Keys that the newest runs have found deleted, and moved, by resource."""
    buried: Departed = {}
    moved: Departed = {}
    for name, (run, manifest) in finished(world.machine).items():
        for entry in manifest.shards:
            if data_kind(entry.path) == ShardKind.DELETED:
                for text in read_lines(world.machine.files, run / entry.path):
                    line = json.loads(text)
                    scope = (line["OriginatingSystemName"],) if "OriginatingSystemName" in line else ()
                    (buried if line["deleted"] else moved).setdefault(name, set()).add((*scope, *line["key"].values()))
    return buried, moved


def as_pairs(keys: Departed) -> set[Key]:
    return {(name, key) for name, found in keys.items() for key in found}


# ------------------------------------------------------------------ what nothing costs


def test_a_delta_soon_after_another_writes_nothing_of_leads() -> None:
    """What its windows bring again by their overlap is held as it is."""

    async def play(world: World) -> None:
        async with served(world, LEADS, records=200):
            config, life = LEADS.config(world), Life(world, LEADS, silent=False)
            life.any = False
            assert await attempt(world, config, life, None)
            await asyncio.sleep(DAY)
            for _ in range(9):
                life.change()
            written = []
            for _ in range(2):
                assert await attempt(world, config, life, None, mode="delta")
                written.append(finished(world.machine)["leads/lead"][1].records)
                await asyncio.sleep(600)
            assert written[0] > 0
            assert written[1] == 0

    simulate("leads again", 0, play)


@pytest.mark.parametrize("refused", [False, True])
def test_where_dates_of_leads_cannot_be_asked_about_the_horizon_is_read_again(refused: bool) -> None:
    """FAULTS P15: older versions may not know dateType, and refuse it or answer as if it were not there."""

    async def play(world: World) -> None:
        async with served(world, LEADS, records=200) as sandbox:
            config, life = LEADS.config(world), Life(world, LEADS, silent=False)
            life.any = False
            assert await attempt(world, config, life, None)
            exchange = sandbox.exchange

            async def older(**asked: Any) -> Reply:
                known = str(asked["target"]).partition("&dateType=")[0]
                reply = await exchange(**{**asked, "target": known})
                if refused and known != asked["target"]:
                    return msgspec.structs.replace(reply, status=400, body=b"")
                return reply

            sandbox.exchange = older  # type: ignore[method-assign]
            await asyncio.sleep(DAY)
            for _ in range(9):
                life.change()
            await asyncio.sleep(600)
            assert await attempt(world, config, life, None, mode="delta")
            check_nothing_missing(world, LEADS, life)
            manifest = finished(world.machine)["leads/lead"][1]
            assert manifest.records < len(life.all_lines())

    simulate("leads of older versions", 0, play)


@EVERY
def test_a_delta_of_no_changes_is_one_request_for_each_walk(subject: Subject) -> None:
    """Of leads one over each date that a change may have moved: nothing else tells of them all."""

    async def play(world: World) -> None:
        async with served(world, subject, records=900):
            config, life = subject.config(world), Life(world, subject)
            life.any = False
            assert await attempt(world, config, life, None)
            await asyncio.sleep(DAY)
            assert await attempt(world, config, life, None, mode="delta")
            for name, (_, manifest) in finished(world.machine).items():
                if name == "Database":  # others take their values from it
                    continue
                assert manifest.mode == "delta"
                requests = {walk.requests for walk in manifest.walks if walk.phase == "delta"}
                assert requests == {5 if subject is LEADS else 1}
                assert manifest.records == 0 or subject.stamped

    simulate(f"nothing of {subject.provider}", 0, play)
