"""IDX Broker's rules against its simulator: every method read whole, byte for byte, in both API versions."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import pytest

from harvester.decode.heads import HeadReader, PageHeads
from harvester.decode.lines import join_lines, make_stamp
from harvester.errors import PageTooLarge
from harvester.model import Action, Headers, PageRequest, Resource, Response, Walk
from harvester.provider import Provider
from harvester.providers.idx_broker import RESOURCES, declare
from harvester.sandbox.idx_broker import ACCESS_KEY, ANCILLARY_KEY, IdxBroker
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Ask
from tests.fakes.clock import FakeClock

ORIGIN = "https://api.example.com"
START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
BY_NAME = {resource.name: resource for resource in RESOURCES}


class Bench:
    """The provider's parts joined to the simulator without wire or disk."""

    def __init__(self, provider: Provider, records: int = 300, **options: object) -> None:
        self.provider = provider
        self.clock = FakeClock(START)
        self.asked: list[str] = []
        settings = Settings(records=records, clock=self.clock, quota=False, options={"idx_broker": options})
        self.simulator = IdxBroker(settings)

    def harvest(self, resource: Resource, value: str | None = None) -> list[bytes]:
        """The lines of one walk, each (key, bytes) once, as the engine would write them."""
        walk = Walk(
            id="w00",
            resource=resource,
            pager=resource.walk or self.provider.full,
            value=value,
            until="2026-03-01 12:00:00",
            horizon=14 * 86400.0,
            page_size=resource.page_size,
        )
        pager = self.provider.pagers[walk.pager]
        reader = HeadReader(resource)
        todo: list[PageRequest] = [pager.first(walk)]
        lines: list[bytes] = []
        while todo:
            request = todo.pop(0)
            response = self.send(request)
            try:
                if response.verdict.action is Action.SHRINK:
                    raise PageTooLarge(response.verdict.reason)
                page = self.provider.envelope.open(response, request, walk)
                todo.extend(pager.follow(walk, page, PageHeads(page.records, reader)))
            except PageTooLarge:
                smaller = pager.with_size(walk, request, None)
                assert smaller != request
                todo.insert(0, smaller)
                continue
            assert not page.rejected
            stamp = make_stamp([(resource.per_value.stamp, value)]) if resource.per_value else b""
            data = bytes(join_lines(page.records, stamp).data)
            lines.extend(line for line in data.splitlines() if not resource.key or line not in lines)
        return lines

    def everything(self, resource: Resource) -> list[bytes]:
        """The lines of every walk of *resource*."""
        parent = resource.per_value
        if parent is None:
            return self.harvest(resource)
        values = [str(msgspec.json.decode(line)[parent.member]) for line in self.everything(BY_NAME[parent.resource])]
        return [line for value in values for line in self.harvest(resource, value)]

    def send(self, request: PageRequest) -> Response:
        url = request.url if request.url.startswith("https://") else f"{ORIGIN}/{request.url}"
        self.asked.append(url)
        parts = urlsplit(url)
        headers = {name.lower(): text for name, text in self.provider.headers}
        answer = self.simulator.answer(
            Ask(
                method="GET",
                path=unquote(parts.path.lstrip("/")),
                raw_path=parts.path.lstrip("/"),
                query=tuple(parse_qsl(parts.query, keep_blank_values=True)),
                raw_query=parts.query,
                headers={**headers, "accesskey": ACCESS_KEY, "ancillarykey": ANCILLARY_KEY},
                body=b"",
                origin=ORIGIN,
                now=self.clock.now(),
                elapsed=self.clock.monotonic(),
            )
        )
        response = Response(status=answer.status, headers=Headers(answer.headers), body=answer.body, url=url)
        verdict = self.provider.judge(response)
        assert verdict.action in {Action.USE, Action.EMPTY, Action.SHRINK}, f"{url}: {verdict}"
        return msgspec.structs.replace(response, verdict=verdict)

    def truth(self, resource: Resource) -> list[bytes]:
        return [bytes(record) for record in self.simulator.truth(resource.name)]


OLD, NEW = declare(), declare(api_version="1.8.0")
OLD_NAMES = [resource.name for resource in RESOURCES if resource.default]
NEW_NAMES = [
    *("clients/featured", "clients/soldpending", "clients/offmarket", "clients/supplemental", "clients/savedlinks"),
    *("clients/agents", "clients/postalcodes", "leads/lead", "leads/note", "mls/cities/sold", "mls/propertycount/sold"),
]


@pytest.mark.parametrize("name", OLD_NAMES)
def test_every_default_method_of_1_0_4_is_read_whole_and_unchanged(name: str) -> None:
    bench = Bench(OLD)
    lines = bench.everything(BY_NAME[name])
    assert sorted(lines) == sorted(bench.truth(BY_NAME[name]))
    assert lines, "nothing was compared"


@pytest.mark.parametrize("name", NEW_NAMES)
def test_the_newer_version_gives_the_same_records_in_pages(name: str) -> None:
    bench = Bench(NEW, version="1.8.0", page_rows=5)
    lines = bench.everything(BY_NAME[name])
    assert sorted(lines) == sorted(bench.truth(BY_NAME[name]))
    assert lines, "nothing was compared"


def test_leads_beyond_one_answer_are_read_by_shorter_windows() -> None:
    """A week holds more leads than one answer: what is cut off without a word is asked for again."""
    bench = Bench(OLD, records=8000, page_rows=9)
    leads = msgspec.structs.replace(BY_NAME["leads/lead"], page_size=9)
    lines = bench.everything(leads)
    assert sorted(lines) == sorted(bench.truth(leads))
    assert len(lines) > 9


def test_aggregates_beyond_the_servers_limit_are_read_by_shorter_windows() -> None:
    """Status 413: halve the window and repeat (contract, section 2)."""
    bench = Bench(OLD, records=8000, max_rows=9)
    aggregate = BY_NAME["partners/aggregatedleads"]
    lines = bench.everything(aggregate)
    assert sorted(lines) == sorted(bench.truth(aggregate))
    assert len(lines) > 9


@pytest.mark.parametrize("name", [resource.name for resource in RESOURCES if resource.name.startswith("partners/")])
def test_partner_methods_are_read_whole(name: str) -> None:
    bench = Bench(OLD)
    resource = BY_NAME[name]
    lines = bench.everything(resource)
    assert lines
    if resource.private:
        assert len(lines) == len(bench.truth(resource))
        assert not any(b"key" in line.lower() for line in lines)
    else:
        assert sorted(lines) == sorted(bench.truth(resource))


def test_no_lead_request_goes_without_its_window() -> None:
    bench = Bench(OLD)
    bench.everything(BY_NAME["leads/search"])
    assert bench.asked
    assert all("interval=" in url and "startDatetime=" in url for url in bench.asked)
