"""A caller of the IDX Broker simulator with the keys of its account."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from harvester.sandbox.idx_broker import ACCESS_KEY, IdxBroker
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Answer
from tests.fakes.caller import Caller
from tests.fakes.clock import FakeClock


def account(clock: FakeClock | None = None, *, scale: float = 1.0, records: int = 200, **options: object) -> Caller:
    """A caller with the demo keys that asks for JSON."""
    clock = clock or FakeClock()
    settings = Settings(records=records, clock=clock, time_scale=scale, options={"idx_broker": options})
    caller = Caller(IdxBroker(settings), clock)
    caller.headers = {"accesskey": ACCESS_KEY, "outputformat": "json", "outputtype": "json"}
    return caller


def get(caller: Caller, path: str, headers: Mapping[str, str] | None = None, /, **query: str) -> Answer:
    return caller.simulator.answer(caller.ask(f"{path}?{urlencode(query)}" if query else path, headers=headers))
