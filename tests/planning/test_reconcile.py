"""How each provider's keys are listed, and in which way what is missing is read again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from msgspec import structs

from harvester import providers
from harvester.model import Phase, Resource, Walk
from harvester.planning.plan import Wanted, full_walks
from harvester.planning.reconcile import listing_walks, repair_walks, ways_of_repair
from harvester.provider import Provider, Repair

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def resource_of(provider: Provider, name: str) -> Resource:
    return next((each for each in provider.resources if each.name == name), None) or provider.describe(name)


def walks_of(provider: Provider, name: str, values: Sequence[str] | None = None) -> tuple[Walk, ...]:
    return full_walks(provider, Wanted(resource=resource_of(provider, name)), values, NOW)


def listing_url(provider: Provider, walk: Walk) -> tuple[str, dict[str, str]]:
    path, _, query = provider.pager(walk.pager).first(walk).url.partition("?")
    return path, dict(parse_qsl(query, keep_blank_values=True))


@pytest.mark.parametrize(
    ("name", "resource", "asks"),
    [
        # Contract, section 4: the key fields.
        ("ims", "Member", {"$select": "MemberMlsId,MemberFullName", "$orderby": "MemberMlsId asc,MemberFullName asc"}),
        # Section 9: key and ModificationTimestamp.
        ("centris", "Property", {"$select": "ListingKey,ModificationTimestamp", "$top": "1000"}),
        # Section 8: the full chain with _select=ListingKey.
        ("spark", "listings", {"_select": "ListingKey", "_limit": "1000", "_skiptoken": ""}),
        ("spark", "contacts", {"_select": "Id", "_limit": "200", "_skiptoken": ""}),
        # Section 3: phase 1 with $select=ListingKey, and no filter.
        ("spark_reso", "Property", {"$select": "ListingKey", "$top": "1000"}),
        ("odata", "Media", {"$select": "MediaKey,ModificationTimestamp"}),
        # Section 8: one more snapshot.
        ("idx_broker", "clients/featured", {}),
    ],
)
def test_a_listing_asks_for_what_the_contract_names(name: str, resource: str, asks: dict[str, str]) -> None:
    provider = providers.load(name)
    values = ["north"] if resource_of(provider, resource).per_value is not None else None
    (listing,) = listing_walks(provider, walks_of(provider, resource, values), NOW, "s")
    assert (listing.id, listing.phase) == ("s00", Phase.SWEEP)
    _, query = listing_url(provider, listing)
    assert asks.items() <= query.items()
    if name == "spark_reso":
        assert not query.keys() & {"$filter", "$orderby", "$skip"}


def test_there_is_one_listing_for_each_value_however_its_walk_was_cut() -> None:
    provider = providers.load("ims")
    north, south = walks_of(provider, "Property", ["north", "south"])
    cut = structs.replace(north, id="w00-1", above="5", part_of="w00")
    listings = listing_walks(provider, (structs.replace(north, below="5"), cut, south), NOW, "t")
    assert [(walk.id, walk.value, walk.above, walk.below) for walk in listings] == [
        ("t00", "north", None, None),
        ("t01", "south", None, None),
    ]


def test_a_walk_that_looks_back_is_listed_over_the_same_time() -> None:
    provider = providers.load("idx_broker")
    (lead,) = walks_of(provider, "leads/lead")
    (listing,) = listing_walks(provider, (lead,), NOW, "s")
    assert (listing.until, listing.horizon) == (lead.until, lead.horizon)


@pytest.mark.parametrize(
    ("name", "keys", "whole", "ways"),
    [
        ("ims", 100, 40, ["by_filter", ""]),
        ("centris", 10, 40, ["by_entity", ""]),
        ("centris", 80, 40, ["by_entity", ""]),  # a walk that missed them may miss them again
        ("centris", 81, 40, ["", "by_entity"]),
        ("centris", 50, 1, ["by_entity", ""]),
        ("odata", 1000, 20, ["by_filter", "", "by_entity"]),
        ("idx_broker", 1, 1, [""]),
    ],
)
def test_records_come_by_key_unless_that_is_far_dearer_than_everything(
    name: str, keys: int, whole: int, ways: list[str]
) -> None:
    provider = providers.load(name)
    found = ways_of_repair(provider, walks_of(provider, "x") if provider.open_resources else (), keys, whole)
    assert [way.fetcher for way in found] == ways


def test_keys_are_shared_out_over_the_databases_they_belong_to() -> None:
    provider = providers.load("ims")
    walks = walks_of(provider, "Property", ["north", "south"])
    keys = [("north", f"{number}") for number in range(250)] + [("south", "7")]
    repairs = list(repair_walks(provider, walks, Repair(fetcher="by_filter", requests=1), keys, "q", 3))
    assert [(walk.id, walk.value, len(walk.keys), walk.phase) for walk in repairs] == [
        ("q03", "north", 200, Phase.REPAIR),
        ("q04", "north", 50, Phase.REPAIR),
        ("q05", "south", 1, Phase.REPAIR),
    ]
    assert repairs[2].keys == (("7",),)


def test_everything_once_more_is_a_full_walk_of_each_value() -> None:
    provider = providers.load("spark_reso")
    walks = walks_of(provider, "Property")
    (again,) = repair_walks(provider, walks, Repair(fetcher="", requests=1), [("k",)], "p", 0)
    assert (again.keys, again.pager, again.phase) == ((), walks[0].pager, Phase.REPAIR)
    assert provider.pager(again.pager).first(again).url.partition("&$count")[0] in (
        provider.pager(walks[0].pager).first(walks[0]).url.replace("$count=true&", "")
    )
