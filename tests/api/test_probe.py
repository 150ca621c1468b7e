"""What a run, a stream and a second run make of a probe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import msgspec
import pytest

import harvester
from harvester.api.probe import probe
from harvester.events import Event, Probed, Warned
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.faults import parse_rules
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings

IGNORE = b'[{"match": {"provider": "odata_server"}, "fault": "ignore:filter"}]'


@pytest.fixture
async def odd() -> AsyncIterator[Sandbox]:
    async with running_sandbox(Settings(seed=5, records=300, options={"odata_server": {}})) as running:
        yield running


def north(odd: Sandbox, out: Path, words: str = "plain", more: str = "") -> harvester.Config:
    return harvester.parse_config(
        f'out = "{out / "out"}"\n[sources.north]\nprovider = "odata"\ntoken = "sandbox-odata-server"\n'
        f'base_url = "{odd.url}/odata_server/{words}"\nresources = ["Property"]\n{more}'
    )


class Heard(list[Event]):
    """A sink that keeps what it is told."""

    def __call__(self, event: Event) -> None:
        self.append(event)

    @property
    def probed(self) -> list[Probed]:
        return [event for event in self if isinstance(event, Probed)]


async def test_a_server_that_comes_to_ignore_the_filter_is_found_out_by_the_delta_and_asked_anew(
    odd: Sandbox, tmp_path: Path
) -> None:
    """FAULTS P15: neither a silent full copy nor a week of wrong belief."""
    config = north(odd, tmp_path)
    assert (await harvester.run(config)).exit_status == 0
    odd.faults.replace(parse_rules(IGNORE))
    report = await harvester.run(config)
    assert report.exit_status == 1
    assert "ignores $filter" in report.resources[0].reason
    heard = Heard()
    before = odd.log.lines().count(b"%20gt%20")
    report = await harvester.run(config, sink=heard)
    assert odd.log.lines().count(b"%20gt%20") == before  # what changed is found without asking for it
    assert [event.requests > 0 for event in heard.probed] == [True]
    assert "ignores $filter" in heard.probed[0].doubt
    assert (report.exit_status, report.resources[0].verdict) == (1, "incomplete"), report.resources[0].reason


async def test_a_stream_is_warned_of_what_it_cannot_know(odd: Sandbox, tmp_path: Path) -> None:
    heard = Heard()
    async with harvester.open(north(odd, tmp_path, "ignores-filter"), sink=heard) as session:
        records = [record async for page in session.pages("north", "Property") for record in page.records]
    assert len(records) == 300
    (warned,) = [event for event in heard if isinstance(event, Warned)]
    assert "Property may lack records: the server ignores $filter" in warned.message


async def test_a_large_resource_is_read_in_windows_of_time_because_the_probe_found_them_safe(tmp_path: Path) -> None:
    """45 pages of 20: the plan says why, the run does it, and every record comes once."""
    async with running_sandbox(Settings(seed=5, records=900, options={"odata_server": {}})) as odd:
        budget = "budget = { windows = [{ requests = 10_000, seconds = 60 }], in_flight = 4 }\n"
        heard = Heard()
        report = await harvester.run(north(odd, tmp_path, "cap-20", budget), sink=heard)
        assert report.exit_status == 0, report.resources[0].reason
        (probed,) = heard.probed
        assert probed.walk == "windows", probed
        assert "counts 900 records, so windows of time can be read side by side" in probed.reason
        (path,) = (tmp_path / "out").rglob("_manifest.json")
        manifest = msgspec.json.decode(path.read_bytes())
        assert {walk["pager"] for walk in manifest["walks"] if walk["phase"] == "full"} == {"windows"}
        assert sum(walk["phase"] == "full" for walk in manifest["walks"]) > 1
        assert manifest["records"] == 900


async def test_a_stream_goes_by_the_walk_that_the_probe_chose(odd: Sandbox, tmp_path: Path) -> None:
    heard = Heard()
    async with harvester.open(north(odd, tmp_path, "links-offset,cap-40"), sink=heard) as session:
        records = [record async for page in session.pages("north", "Property") for record in page.records]
    assert sorted(records) == sorted(odd.simulator("odata_server").truth("Property"))
    assert heard.probed[0].walk == "offset"
    assert not any(isinstance(event, Warned) for event in heard)


async def test_a_run_that_is_stopped_before_its_probe_sends_nothing(odd: Sandbox, tmp_path: Path) -> None:
    stop = anyio.Event()
    stop.set()
    report = await harvester.run(north(odd, tmp_path), stop=stop)
    assert report.exit_status == 130
    assert odd.log.lines() == b""


async def test_the_settings_a_probe_depends_on_have_a_profile_each(odd: Sandbox, tmp_path: Path) -> None:
    await probe(north(odd, tmp_path))
    assert (await probe(north(odd, tmp_path))).sources[0].resources[0].kept
    for more in ('select = ["ListingKey", "ListPrice"]', 'filter = "ListPrice gt 0"'):
        assert not (await probe(north(odd, tmp_path, more=more))).sources[0].resources[0].kept
    assert not (await probe(north(odd, tmp_path, "cap-100"))).sources[0].resources[0].kept


async def test_a_profile_is_asked_anew_when_it_is_older_than_configured(odd: Sandbox, tmp_path: Path) -> None:
    short = msgspec.structs.replace(north(odd, tmp_path), probe_lifetime=0.001)
    await probe(short)
    await anyio.sleep(0.002)
    assert not (await probe(short)).sources[0].resources[0].kept


async def test_the_users_own_filter_is_part_of_every_question(odd: Sandbox, tmp_path: Path) -> None:
    report = await probe(north(odd, tmp_path, more='filter = "ListPrice gt 1000000 or ListPrice lt 90000"'))
    found = report.sources[0].resources[0]
    assert found.profile is not None
    assert (found.profile.filter.value, found.profile.orderby.value) == ("honoured", "honoured")
    asked = [line for line in odd.log.lines().splitlines() if b"$skiptoken" not in line]
    assert all(b"ListPrice" in line for line in asked)


async def test_a_count_that_was_found_wrong_does_not_make_a_run_incomplete(odd: Sandbox, tmp_path: Path) -> None:
    """FAULTS P13: it can disprove a run only where it is right."""
    assert (await harvester.run(north(odd, tmp_path, "count-wrong"))).exit_status == 0


async def test_what_was_found_in_the_middle_of_faults_is_not_kept(odd: Sandbox, tmp_path: Path) -> None:
    for _ in range(2):
        found = (await probe(north(odd, tmp_path, "fails-orderby"))).sources[0].resources[0]
        assert (found.kept, found.requests) == (False, 6)
