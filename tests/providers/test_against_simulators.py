"""Every resource of every provider here, walked whole against its simulator: the bytes equal the truth."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from harvester.model import Action, Phase, Resource, Walk
from harvester.provider import Provider
from harvester.providers import load
from harvester.sandbox.registry import load_simulators
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Simulator
from tests.fakes.in_memory_source import InMemorySource

NAMES = ("ims", "centris", "spark", "spark_reso")


def simulator(name: str, **options: object) -> Simulator:
    settings = Settings(seed=7, records=300, quota=False, options={name: options} if options else {})
    return load_simulators(settings)[name]


def walks(provider: Provider, source: InMemorySource, resource: Resource, size: int | None) -> Iterator[Walk]:
    """The full walks of *resource*: one, or one for each value of its parent."""
    values: list[str | None] = [None]
    if resource.per_value is not None:
        parent = next(each for each in provider.resources if each.name == resource.per_value.resource)
        rows = source.read(Walk(id="w00", resource=parent, pager=parent.walk or provider.full))
        values = [str(msgspec.json.decode(row)[resource.per_value.member]) for row in rows]
    for number, value in enumerate(values):
        yield Walk(
            id=f"w{number:02d}",
            resource=resource,
            pager=resource.walk or provider.full,
            value=value,
            page_size=size,
        )


def declared(name: str) -> list[str]:
    """What can be walked: not the sets of listings that come only inside these."""
    provider = load(name)
    only_inside = {each for each, relation in provider.relations.items() if not relation.collection}
    return [resource.name for resource in provider.resources if resource.name not in only_inside]


CASES = [(name, resource_name) for name in NAMES for resource_name in declared(name)]


@pytest.mark.parametrize("size", [None, 37])
@pytest.mark.parametrize(("name", "resource_name"), CASES)
def test_a_full_walk_brings_every_record_once_and_unchanged(name: str, resource_name: str, size: int | None) -> None:
    provider, simulated = load(name), simulator(name)
    resource = next(each for each in provider.resources if each.name == resource_name)
    source = InMemorySource(provider, simulated)
    lines = [line for walk in walks(provider, source, resource, size) for line in source.read(walk)]
    assert sorted(lines) == sorted(simulated.truth(resource_name))


@pytest.mark.parametrize("name", ["centris", "spark_reso"])
def test_the_count_is_told(name: str) -> None:
    provider, simulated = load(name), simulator(name)
    source = InMemorySource(provider, simulated)
    walk = Walk(id="w00", resource=provider.resources[0], pager=provider.full)
    assert provider.count is not None
    request = provider.count(walk)
    page = provider.envelope.open(source.ask(request), request, walk)
    assert page.count == sum(1 for _ in simulated.truth(walk.resource.name))


def test_the_chain_of_centris_brings_everything_when_nothing_moves() -> None:
    provider, simulated = load("centris"), simulator("centris")
    source = InMemorySource(provider, simulated)
    walk = Walk(id="w00", resource=provider.resources[0], pager="chain")
    assert sorted(source.read(walk)) == sorted(simulated.truth("Property"))
    assert not any("$top" in url for url in source.urls)


def test_ims_anchors_its_closing_walk_in_its_own_data() -> None:
    provider, simulated = load("ims"), simulator("ims")
    source = InMemorySource(provider, simulated)
    resource = provider.resources[1]
    (walk, *_) = walks(provider, source, resource, None)
    assert provider.anchor is not None
    request = provider.anchor(walk)
    page = provider.envelope.open(source.ask(request), request, walk)
    newest = [msgspec.json.decode(row)["ModificationTimestamp"] for row in page.records]
    everything = sorted((msgspec.json.decode(row)["ModificationTimestamp"] for row in source.read(walk)), reverse=True)
    assert newest == everything[:50]


@pytest.mark.parametrize("name", NAMES)
def test_what_changes_during_a_full_walk_comes_with_the_closing_one(name: str) -> None:
    """Inserts, updates and deletes between any two requests; afterwards nothing that exists is missing."""
    provider, simulated = load(name), simulator(name)
    source = InMemorySource(provider, simulated)
    resource = next(each for each in provider.resources if each.default and each.modified)
    found: set[bytes] = set()
    since = "2026-02-01T00:00:00" + ("" if provider.timestamps == "zoneless" else "Z")
    full = [msgspec.structs.replace(walk, enough=since) for walk in walks(provider, source, resource, 50)]
    source.between = lambda: simulated.mutate(3)
    for walk in full:
        found.update(source.read(walk))
    source.between = lambda: None
    for walk in full:
        closing = msgspec.structs.replace(walk, pager=provider.closing or "", phase=Phase.CLOSING, since=since)
        found.update(source.read(closing))
    assert set(simulated.truth(resource.name)) <= found


def test_a_large_page_is_shrunk_to_what_the_server_allows() -> None:
    ims = InMemorySource(load("ims"), simulator("ims"))
    verdict = ims.verdict("v1/Database?$top=5001")
    assert (verdict.action, verdict.page_size) == (Action.SHRINK, 5000)
    reso = InMemorySource(load("spark_reso"), simulator("spark_reso"))
    verdict = reso.verdict("Property?$top=1001")
    assert (verdict.action, verdict.page_size) == (Action.SHRINK, 1000)
