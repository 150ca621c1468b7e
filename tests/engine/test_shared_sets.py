"""Answers that bring the sets of several resources: asked for once, taken by each, never a reason to wait for ever."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import anyio
import pytest
from anyio import create_task_group, wait_all_tasks_blocked

from harvester.engine.shared_sets import SharedSets
from harvester.errors import ResourceRefused, ServerFault
from harvester.model import Page, PageRequest

KEY = ("2010",)


def page(size: int = 1) -> Page:
    return Page(request=PageRequest(url="listings/2010"), url="", records=(), size=size)


class Server:
    """Notes what was asked for; an answer comes when ``answers`` is set."""

    def __init__(self, refuses: Callable[[Sequence[str]], Exception | None] = lambda names: None) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.answers = anyio.Event()
        self._refuses = refuses

    async def send(self, names: Sequence[str]) -> Page:
        self.asked.append(tuple(names))
        await self.answers.wait()
        if (error := self._refuses(names)) is not None:
            raise error
        return page()


def shared(*names: str) -> SharedSets:
    sets = SharedSets(names)
    for name in names:
        sets.join(name, name.title(), lambda key: True)
    return sets


async def test_one_request_brings_the_sets_of_all_who_need_them() -> None:
    sets, server, got = shared("photos", "rooms", "units"), Server(), list[Page]()

    async def ask(name: str) -> None:
        got.append(await sets.ask(name, KEY, server.send))

    async with create_task_group() as tasks:
        for name in ("photos", "rooms"):
            tasks.start_soon(ask, name)
        await wait_all_tasks_blocked()
        server.answers.set()
    await ask("units")
    assert server.asked == [("Photos", "Rooms", "Units")]
    assert len(got) == 3


async def test_what_somebody_does_not_need_is_not_asked_for() -> None:
    sets, server = SharedSets(["photos", "rooms"]), Server()
    server.answers.set()
    sets.join("photos", "Photos", lambda key: True)
    sets.join("rooms", "Rooms", lambda key: False)
    await sets.ask("photos", KEY, server.send)
    assert server.asked == [("Photos",)]


async def test_nothing_is_sent_before_everybody_has_said_what_is_needed() -> None:
    sets, server = SharedSets(["photos", "rooms", "units"]), Server()
    server.answers.set()
    sets.join("photos", "Photos", lambda key: True)
    async with create_task_group() as tasks:
        tasks.start_soon(sets.ask, "photos", KEY, server.send)
        await wait_all_tasks_blocked()
        assert not server.asked
        sets.join("rooms", "Rooms", lambda key: True)
        sets.leave("units")  # its run failed, or has nothing to read
    assert server.asked == [("Photos", "Rooms")]


async def test_what_is_refused_together_is_asked_for_alone() -> None:
    sets = shared("photos", "videos")
    server = Server(lambda names: ResourceRefused("no videos for this role", status=403) if "Videos" in names else None)
    server.answers.set()
    await sets.ask("photos", KEY, server.send)
    with pytest.raises(ResourceRefused):
        await sets.ask("videos", KEY, server.send)
    assert ("Photos",) in server.asked


async def test_who_waits_for_an_answer_that_fails_asks_for_itself() -> None:
    failures = [ServerFault("503")]
    sets = shared("photos", "rooms")
    server = Server(lambda names: failures.pop() if failures else None)
    got: list[str] = []

    async def ask(name: str) -> None:
        try:
            await sets.ask(name, KEY, server.send)
            got.append(name)
        except ServerFault:
            got.append(f"{name} failed")

    async with create_task_group() as tasks:
        tasks.start_soon(ask, "photos")
        await wait_all_tasks_blocked()
        tasks.start_soon(ask, "rooms")
        await wait_all_tasks_blocked()
        server.answers.set()
    assert sorted(got) == ["photos failed", "rooms"]
    assert len(server.asked) == 2


async def test_answers_that_nobody_fetches_are_dropped_when_there_are_too_many() -> None:
    sets, asked, taken = SharedSets(["photos", "rooms"]), list[tuple[str, ...]](), set[tuple[str, ...]]()
    sets.join("photos", "Photos", lambda key: key not in taken)
    sets.join("rooms", "Rooms", lambda key: True)

    async def send(names: Sequence[str]) -> Page:
        asked.append(tuple(names))
        return page(size=20 << 20)

    for number in range(4):
        await sets.ask("photos", (str(number),), send)
        taken.add((str(number),))
    await sets.ask("rooms", ("0",), send)
    await sets.ask("rooms", ("3",), send)
    assert len(asked) == 5, "the first had to be asked for again, the last had not"
