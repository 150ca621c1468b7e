"""A caller of either Spark simulator with a replication token, and a walk along its chains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Answer
from harvester.sandbox.spark import Spark
from harvester.sandbox.spark_keys import KEYS
from harvester.sandbox.spark_reso import SparkReso
from tests.fakes.caller import ORIGIN, Caller, content
from tests.fakes.clock import FakeClock


def spark(*, records: int = 60, quota: bool = False, key: str = "replication", **options: object) -> Caller:
    """The Spark API with *options*; without a quota unless one is asked for."""
    clock = FakeClock()
    caller = Caller(Spark(Settings(records=records, clock=clock, quota=quota, options={"spark": options})), clock)
    caller.headers = {"authorization": f"Bearer {KEYS[key].token}"}
    return caller


def reso(*, records: int = 60, quota: bool = False, key: str = "replication", **options: object) -> Caller:
    """The RESO surface with *options*."""
    clock = FakeClock()
    settings = Settings(records=records, clock=clock, quota=quota, options={"spark_reso": options})
    caller = Caller(SparkReso(settings), clock)
    caller.headers = {"authorization": f"Bearer {KEYS[key].token}"}
    return caller


def ask(caller: Caller, path: str, /, **query: str | int) -> Answer:
    """``ask(caller, "listings", _limit=5)``: below ``v1``."""
    return caller.simulator.answer(caller.ask(f"v1/{path}?{urlencode(query)}" if query else f"v1/{path}"))


def envelope(answer: Answer) -> dict[str, Any]:
    """What is inside ``D``."""
    found: dict[str, Any] = content(answer)["D"]
    return found


def results(answer: Answer) -> list[dict[str, Any]]:
    """The results of a success."""
    assert answer.status == 200, (answer.status, answer.body[:300])
    found: list[dict[str, Any]] = envelope(answer)["Results"]
    return found


def token_pages(caller: Caller, path: str, /, **query: str | int) -> Iterator[list[dict[str, Any]]]:
    """The pages of a Spark token chain, up to the first empty one or to a page without a token."""
    token: str | None = ""
    asked: set[str] = set()
    while token is not None:
        assert token not in asked, "the chain came back to where it was"
        asked.add(token)
        answer = ask(caller, path, **query, _skiptoken=token)
        found = results(answer)
        if not found:
            return
        yield found
        token = envelope(answer).get("SkipToken")


def link_pages(caller: Caller, path: str) -> Iterator[dict[str, Any]]:
    """The pages of a RESO chain: links followed as they were written."""
    answer = caller.simulator.answer(caller.ask(f"Reso/OData/{path}"))
    asked: set[str] = set()
    while True:
        assert answer.status == 200, (answer.status, answer.body[:300])
        page: dict[str, Any] = content(answer)
        yield page
        link = page.get("@odata.nextLink")
        if link is None:
            return
        assert link.startswith(f"{ORIGIN}/Reso/OData/")
        assert link not in asked, "the chain came back to where it was"
        asked.add(link)
        answer = caller.follow(link)
