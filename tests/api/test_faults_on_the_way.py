"""Faults of the wire, end to end: the harvest is complete in spite of them, or it says what is missing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

import harvester
from harvester.api.ports import Ports
from harvester.events import Event, PageFetched
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.faults import parse_rules
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from tests.fakes.clock import FastClock

PASSING = [
    "status:503",  # S01
    "status:521",  # S02
    "429:none",  # S03
    "429:ra=1",  # S04
    "429:ra=-5",  # S04
    "429:date_skew",  # S05
    "cut:len",  # H01
    "cut:chunk",  # H02
    "rst:0",  # N02
    "rst:500",  # N03
    "maint:503",  # S07
    "maint:200",  # S07
    "latency:5",
]
RENEWED = ["401:once", "token:ttl"]  # S10, A01: where tokens are renewed


@pytest.fixture
def clock() -> FastClock:
    return FastClock(50)


@pytest.fixture
async def sandbox(clock: FastClock) -> AsyncIterator[Sandbox]:
    async with running_sandbox(Settings(seed=5, records=250), clock) as running:
        yield running


@pytest.fixture
def config(sandbox: Sandbox, tmp_path: Path) -> harvester.Config:
    return harvester.parse_config(sandbox.config_toml(), overrides=[f"out={tmp_path / 'out'}"])


@pytest.fixture
def ports(clock: FastClock) -> Ports:
    return Ports(clock=clock)


def held(config: harvester.Config, source: str, resource: str) -> list[bytes]:
    """Every record line of the resource, from plain shards."""
    shards = Path(config.out).glob(f"source={source}/resource={resource}/run=*/part-*.ndjson")
    return sorted(line for shard in shards for line in shard.read_bytes().splitlines())


def ordered(sandbox: Sandbox, faults: list[dict[str, object]]) -> None:
    sandbox.faults.replace(parse_rules(json.dumps(faults).encode()))


def plain(config: harvester.Config, **changes: object) -> harvester.Config:
    return msgspec.structs.replace(config, compression="none", **changes)


@pytest.mark.parametrize(
    ("source", "fault"),
    [*[("spark_reso", fault) for fault in PASSING], *[("centris", fault) for fault in [*PASSING, *RENEWED]]],
)
async def test_a_passing_fault_costs_time_and_no_record(
    sandbox: Sandbox, config: harvester.Config, ports: Ports, source: str, fault: str
) -> None:
    """FAULTS N02, N03, H01, H02, S01 to S05, S07, S10, A01: nothing of a broken page is written."""
    ordered(sandbox, [{"match": {"provider": source, "nth": 2}, "fault": fault, "times": 2}])
    report = await harvester.run(plain(config), sources=[source], resources=["Property", "Office"], ports=ports)
    assert [(row.verdict, row.reason) for row in report.resources] == [("complete", "")] * 2
    assert any(entry.fault for entry in sandbox.log), "the fault never happened"
    for resource in ("Property", "Office"):
        assert held(config, source, resource) == sorted(sandbox.simulator(source).truth(resource))


async def test_a_lasting_fault_fails_its_resource_and_not_its_sibling(
    sandbox: Sandbox, config: harvester.Config, ports: Ports
) -> None:
    """FAULTS S11, R06: 403 for one resource is status 1, with the reason; the others are complete."""
    ordered(sandbox, [{"match": {"provider": "centris", "resource": "Office"}, "fault": "status:403"}])
    report = await harvester.run(plain(config), sources=["centris"], ports=ports)
    verdicts = {row.resource: row.verdict for row in report.resources}
    assert verdicts == {"Property": "complete", "Member": "complete", "Office": "failed"}
    assert report.exit_status == 1


async def test_rows_that_change_while_they_are_read_are_there_at_the_end(
    sandbox: Sandbox, config: harvester.Config, ports: Ports
) -> None:
    """FAULTS P09, T05: every row that lives at the end is held in its last version; only deletions are unknown."""
    small = plain(config, sources={name: _pages_of(40, section) for name, section in config.sources.items()})
    changed = 0

    def change(event: Event) -> None:
        nonlocal changed
        # Up to the closing delta: what changes after it is for the next run.
        if isinstance(event, PageFetched) and event.walk.startswith("w"):
            changed += 1
            sandbox.mutate(3)

    report = await harvester.run(
        small, sources=["centris", "spark_reso"], resources=["Property"], ports=ports, sink=change
    )
    assert changed >= 10
    assert {row.verdict for row in report.resources} == {"complete"}
    for source in ("centris", "spark_reso"):
        mine = {_identity(line) for line in held(small, source, "Property")}
        living = {_identity(line) for line in sandbox.simulator(source).truth("Property")}
        assert living - mine == set()


def _identity(line: bytes) -> tuple[str, str]:
    row = json.loads(line)
    return row["ListingKey"], row["ModificationTimestamp"]


def _pages_of(size: int, source: harvester.SourceConfig) -> harvester.SourceConfig:
    return msgspec.structs.replace(source, page_size=size)
