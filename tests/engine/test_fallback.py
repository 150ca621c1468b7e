"""What reads a set that another walk could not read: one after the other, down to the server's own links."""

from __future__ import annotations

import pytest

from harvester.engine.fallback import instead_of
from harvester.errors import ConnectionFailed, CursorExpired, HarvesterError, OrderViolated, ResourceRefused, SeamBroken
from harvester.model import Phase, Resource, Walk
from harvester.providers import load

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
ODATA = load("odata")


def walk(pager: str, **more: str) -> Walk:
    return Walk(id="w00", resource=PROPERTY, pager=pager, **more)  # type: ignore[arg-type]


def test_offsets_are_followed_by_windows_those_by_ranges_and_those_by_links() -> None:
    tried, reading = ["offset"], walk("offset")
    while (other := instead_of(ODATA, reading, OrderViolated("out of order"))) is not None:
        tried.append(other.pager)
        reading = other
    assert tried == ["offset", "windows", "ranges", "chain"]
    assert reading.reason.startswith("Read by chain instead of ranges: out of order Read by ranges instead of windows")


@pytest.mark.parametrize("name", ["ims", "centris", "spark", "odata"])
def test_every_way_down_has_an_end(name: str) -> None:
    provider = load(name)
    for pager in provider.pagers:
        reading: Walk | None = walk(pager)
        for _ in range(len(provider.pagers)):
            assert reading is None or reading.pager in provider.pagers
            reading = reading and instead_of(provider, reading, SeamBroken("rows move"))
        assert reading is None


def test_a_part_is_replaced_by_the_whole() -> None:
    """What the other parts have not read yet is read by it as well."""
    part = walk("windows", since="2026-01-01T00:00:00Z", until="2026-02-01T00:00:00Z", part_of="w00")
    other = instead_of(ODATA, part, OrderViolated("out of order"))
    assert other is not None
    assert (other.id, other.since, other.until, other.part_of) == ("w00", None, None, "")


@pytest.mark.parametrize(
    ("error", "helps"),
    [
        (ResourceRefused("$orderby is not supported", status=400), True),
        (ResourceRefused("not implemented", status=501), True),
        (ResourceRefused("no entitlement", status=403), False),
        (CursorExpired("the position is refused"), True),
        (ConnectionFailed("the network"), False),
    ],
)
def test_another_walk_is_tried_only_where_the_walk_is_to_blame(error: HarvesterError, helps: bool) -> None:
    assert (instead_of(ODATA, walk("offset"), error) is not None) == helps


def test_what_may_lose_rows_is_left_out_where_nobody_could_be_told() -> None:
    assert instead_of(ODATA, walk("ranges"), OrderViolated("out of order"), avoid={"chain"}) is None


def test_deltas_and_closing_deltas_are_not_replaced() -> None:
    """They ask what changed since an instant; no other walk of the whole would do."""
    for phase in (Phase.DELTA, Phase.CLOSING):
        assert (
            instead_of(ODATA, Walk(id="c00", resource=PROPERTY, pager="windows", phase=phase), SeamBroken("x")) is None
        )


def test_a_listing_is_replaced_like_a_full_walk() -> None:
    listing = Walk(id="p00", resource=PROPERTY, pager="offset", phase=Phase.SWEEP)
    other = instead_of(ODATA, listing, SeamBroken("rows move"))
    assert other is not None
    assert (other.pager, other.phase, other.id) == ("windows", Phase.SWEEP, "p00")
