"""Two credentials for one feed, on virtual time: the real client, the sandbox, a quota for each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import harvester
from harvester.events import CredentialLost, Event, PageFetched
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.faults import Rule, parse_rules
from tests.simulation import loop
from tests.simulation.truth import finished, held
from tests.simulation.world import World, simulate

Prepare = Callable[[World, Sandbox], Callable[[Event], None] | None]
RESOURCE = {"spark": "listings"}


@pytest.fixture(autouse=True)
def _no_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that stalls for two seconds now and then is another test's."""
    monkeypatch.setattr(loop, "_SLOW", 0.0)


class Played:
    """What came of one play."""

    seconds: float
    report: harvester.Report
    shares: Counter[int | None]  # data requests by credential
    refused: int
    whole: bool  # every record is held once, as the provider has it now


def harvest(
    provider: str,
    credentials: int,
    prepare: Prepare | None = None,
    *,
    source: dict[str, Any] | None = None,
    **settings: Any,
) -> Played:
    """Harvest one resource of *provider* with so many *credentials*. *source*: changes of the configured source."""
    played = Played()
    resource = RESOURCE.get(provider, "Property")

    async def play(world: World) -> None:
        async with world.serving(**{"records": 600, "credentials": credentials} | settings) as sandbox:
            world.think = 0.3
            sink = prepare(world, sandbox) if prepare is not None else None
            changes = {"page_size": 20, "resources": (resource,)} | (source or {})
            config = world.config(provider, **changes)
            began = world.loop.time()
            played.report = await world.harvest(config, mode="full", sink=sink)
            played.seconds = world.loop.time() - began
            log = [entry for entry in world.requests(provider) if not entry.token]
            played.shares = Counter(entry.credential for entry in log)
            played.refused = sum(bool(entry.over) for entry in log)
            played.whole = False
            if played.report.complete:
                run, manifest = finished(world.machine)[resource]
                truth = Counter(sandbox.simulator(provider).truth(resource))
                played.whole = held(world.machine.files, run, manifest) == truth

    simulate("several credentials", 3, play)
    return played


@pytest.mark.parametrize(
    ("provider", "options"),
    [
        ("centris", {}),
        ("ims", {"requests_per_hour": 12}),
    ],
)
def test_two_credentials_need_half_the_time_and_are_never_refused(provider: str, options: dict[str, Any]) -> None:
    """A walk whose position is a value goes by whichever of them may send first."""
    settings: dict[str, Any] = {"records": 1_000, "options": {provider: options}}
    alone, both = (harvest(provider, credentials, **settings) for credentials in (1, 2))
    assert alone.whole
    assert both.whole
    assert (alone.refused, both.refused) == (0, 0)
    assert both.seconds < 0.62 * alone.seconds, (both.seconds, alone.seconds)
    assert min(both.shares[1], both.shares[2]) > 0.35 * both.shares.total(), both.shares


def revoke(number: int, after: int, *, found: list[Event] | None = None) -> Prepare:
    """The provider refuses that credential once so many pages have come."""

    def prepare(world: World, sandbox: Sandbox) -> Callable[[Event], None]:
        pages = 0

        def look(event: Event) -> None:
            nonlocal pages
            if found is not None:
                found.append(event)
            if isinstance(event, PageFetched):
                pages += 1
                if pages == after:
                    text = f'[{{"match": {{"credential": {number}}}, "fault": "status:401"}}]'
                    sandbox.faults.replace(parse_rules(text.encode()))

        return look

    return prepare


@pytest.mark.parametrize("provider", ["centris", "spark", "spark_reso"])
@pytest.mark.parametrize("number", [1, 2])
def test_the_work_of_a_revoked_credential_is_done_by_the_other(provider: str, number: int) -> None:
    """FAULTS S10: also where a walk stood at a link that only the revoked one was told."""
    events: list[Event] = []
    played = harvest(provider, 2, revoke(number, 6, found=events), quota=False)
    assert played.report.exit_status == 0, played.report
    assert played.whole
    lost = [event for event in events if isinstance(event, CredentialLost)]
    if lost:  # of a chain of links, only one of them is asked
        assert [event.credential for event in lost] == [f"number-{number}"]
        assert any(f"number-{number} is refused" in warning for warning in played.report.warnings)
    assert played.shares[3 - number] > 0


def test_all_credentials_revoked_end_the_run_with_the_status_of_one() -> None:
    def prepare(world: World, sandbox: Sandbox) -> None:
        sandbox.faults.replace([Rule(fault="status:401")])

    played = harvest("spark_reso", 2, prepare)
    assert played.report.exit_status == 77
    assert played.shares.total() <= 4, "a refused key that is tried again gets its account locked"


@pytest.mark.parametrize("provider", ["spark_reso", "centris"])
def test_credentials_that_see_different_records_do_not_share_a_harvest(provider: str) -> None:
    """FAULTS P13: what one of them counts, the other does not; both are named, and nothing is harvested."""

    def prepare(world: World, sandbox: Sandbox) -> None:
        rule = '[{"match": {"credential": 2}, "fault": "count:wrong"}]'
        sandbox.faults.replace(parse_rules(rule.encode()))

    played = harvest(provider, 2, prepare)
    assert played.report.exit_status == 78
    (row,) = played.report.resources
    assert "number-1" in row.reason
    assert "number-2" in row.reason
    assert "do not see the same" in row.reason


def test_a_credential_that_sees_other_records_is_noticed_where_nothing_is_counted() -> None:
    """IMS tells no total: the first pages are compared."""

    def prepare(world: World, sandbox: Sandbox) -> None:
        rule = '[{"match": {"credential": 2, "resource": "Property"}, "fault": "empty:200"}]'
        sandbox.faults.replace(parse_rules(rule.encode()))

    played = harvest("ims", 2, prepare)
    assert played.report.exit_status != 0
    assert not played.whole


def test_credentials_that_have_agreed_are_not_asked_again() -> None:
    asked: list[int] = []

    async def play(world: World) -> None:
        async with world.serving(records=100, credentials=2, quota=False) as sandbox:
            config = world.config("spark_reso", page_size=50, resources=("Property",))
            for _ in range(2):
                before = len(sandbox.log)
                assert (await world.harvest(config, mode="full")).complete
                asked.append(len(sandbox.log) - before)

    simulate("several credentials that agree", 1, play)
    assert asked[0] - asked[1] == 2
