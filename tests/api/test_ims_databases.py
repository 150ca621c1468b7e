"""The databases of IMS: a dictionary of its own, and what every other resource is walked by."""

from __future__ import annotations

import json
from pathlib import Path

from msgspec import structs

import harvester
from harvester.api.view import view
from harvester.events import Event, Warned
from harvester.sandbox.exchange import Sandbox


def lines(out: Path, resource: str) -> list[bytes]:
    written: list[bytes] = []
    view(out, resource, write=written.append)
    return b"".join(written).split(b"\n")[:-1]


async def test_a_database_that_is_named_no_more_is_told_once_and_nothing_of_it_is_purged(
    sandbox: Sandbox, config: harvester.Config
) -> None:
    """IMS contract, section 8: also by a sweep, which finds none of its keys."""
    out = Path(config.out)
    whole = structs.replace(config, sources={"ims": structs.replace(config.sources["ims"], resources=("Property",))})
    told: list[str] = []

    def sink(event: Event) -> None:
        if isinstance(event, Warned):
            told.append(event.message)

    assert (await harvester.run(whole)).complete
    simulator = sandbox.simulator("ims")
    assert sorted(lines(out, "Database")) == sorted(simulator.truth("Database"))
    held = lines(out, "Property")
    (shelf,) = simulator.shelves("Database")
    row = shelf.table.remove(shelf.table.by_key[-1].key)
    name = str(json.loads(row.body)["OriginatingSystemName"])
    for mode in ("auto", "auto", "sweep"):
        assert (await harvester.run(whole, mode=mode, sink=sink)).complete
    assert [message for message in told if name in message] == [
        f"Database names {name} no more; what Property holds of it is kept"
    ]
    assert sorted(lines(out, "Property")) == sorted(held)
