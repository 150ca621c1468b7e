"""A page of older rows than were asked for shows a server that ignores the filter."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import pytest
from msgspec import Raw

from harvester.errors import FilterIgnored
from harvester.model import Head, Page, PageRequest, Phase, Resource, Walk
from harvester.pagers.bounds import check_since, check_window
from harvester.pagers.chain import ChainPager
from harvester.pagers.spark_token import SparkTokenPager

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
SINCE = "2026-03-01T12:00:00Z"
OLD, NEW = "2026-01-05T08:00:00Z", "2026-03-02T08:00:00.123Z"


def walk(phase: Phase = Phase.CLOSING, since: str | None = SINCE) -> Walk:
    return Walk(id="c00", resource=PROPERTY, pager="chain", phase=phase, since=since)


def heads(*times: str | None) -> list[Head]:
    return [Head((str(number),), time) for number, time in enumerate(times)]


def ignored(times: Sequence[str | None], since: str = SINCE, phase: Phase = Phase.CLOSING) -> bool:
    try:
        check_since(walk(phase, since), heads(*times), parameter="$filter")
    except FilterIgnored:
        return True
    return False


def test_a_page_of_older_rows_is_seen_in_every_phase_that_asks_for_changes() -> None:
    """FAULTS P15."""
    assert ignored([OLD, OLD, OLD])
    assert ignored([OLD, OLD, NEW], phase=Phase.DELTA)
    assert not ignored([OLD, OLD, OLD], phase=Phase.FULL)


def test_what_was_asked_for_is_no_sign_nor_is_an_odd_row_of_an_old_cache() -> None:
    assert not ignored([SINCE, NEW, NEW])
    assert not ignored([OLD, NEW, NEW])
    assert not ignored([])


def test_times_that_cannot_be_read_say_nothing() -> None:
    """FAULTS T04."""
    assert not ignored([None, None, "yesterday", "31/12/2020"])
    assert not ignored([OLD], since="a while ago")


def test_instants_are_compared_not_texts() -> None:
    assert not ignored(["2026-03-01T08:00:00-05:00"] * 3)  # 13:00 UTC
    assert ignored(["2026-03-01T13:00:00+05:00"] * 3)  # 08:00 UTC
    assert not ignored(["2026-03-01 12:30:00"] * 3, since="2026-03-01T12:00:00")
    assert not ignored(["2026-03-01T12:00:00.0000001Z"] * 3)


def test_a_time_without_a_zone_may_be_of_any() -> None:
    """A server that writes its local time need not ignore anything."""
    assert not ignored(["2026-03-01T04:00:00"] * 3)
    assert ignored(["2026-02-27T04:00:00"] * 3)


@pytest.mark.parametrize(
    ("pager", "parameter"), [(ChainPager(), r"\$filter"), (SparkTokenPager(), r"_filter")], ids=["chain", "spark"]
)
def test_chains_look_at_every_page_also_at_one_without_a_link(
    pager: ChainPager | SparkTokenPager, parameter: str
) -> None:
    request = pager.first(walk())
    page = Page(request=request, url="https://x.example/Property", records=(Raw(b"{}"),) * 3)
    with pytest.raises(FilterIgnored, match=rf"ignores {parameter} \(3 of 3 records .*--prove"):
        pager.follow(walk(), page, heads(OLD, OLD, OLD))
    assert pager.follow(walk(), page, heads(NEW, NEW, NEW)) == ()


def test_a_walk_without_a_bound_is_not_looked_at() -> None:
    page = Page(request=PageRequest(url="Property"), url="https://x.example/Property", records=())
    assert ChainPager().follow(walk(Phase.FULL, None), page, heads(OLD)) == ()


# ------------------------------------------------------------------ windows of everything


def outside(times: Sequence[str | None], **part: object) -> bool:
    window = Walk(id="w00-1", resource=PROPERTY, pager="windows", phase=Phase.FULL, **part)  # type: ignore[arg-type]
    try:
        check_window(window, heads(*times), parameter="$filter")
    except FilterIgnored:
        return True
    return False


def test_a_page_of_rows_outside_its_window_shows_a_server_that_ignores_the_filter() -> None:
    """FAULTS P15: each part would be everything."""
    assert outside([OLD, OLD, NEW], since=SINCE)
    assert outside([OLD, NEW, NEW], until=SINCE)
    assert outside([OLD, NEW, None], undated=True)
    assert not outside([OLD, NEW], since=SINCE)
    assert not outside([OLD, OLD, NEW], until=SINCE)
    assert not outside([None, None], undated=True)
    assert not outside([OLD, NEW])


@pytest.mark.parametrize(
    ("part", "filter_", "sparkql"),
    [
        ({"since": SINCE}, f"ModificationTimestamp ge {SINCE}", f"ModificationTimestamp Ge {SINCE}"),
        ({"until": SINCE}, f"ModificationTimestamp lt {SINCE}", f"ModificationTimestamp Lt {SINCE}"),
        ({"undated": True}, "ModificationTimestamp eq null", "ModificationTimestamp Eq NULL"),
    ],
)
def test_a_window_begins_with_its_first_instant_and_nulls_have_one_of_their_own(
    part: dict[str, object], filter_: str, sparkql: str
) -> None:
    """A delta begins behind its watermark; of windows that meet, each row is in one."""
    window = Walk(id="w00", resource=PROPERTY, pager="windows", phase=Phase.FULL, **part)  # type: ignore[arg-type]
    assert f"$filter={quote(filter_, safe=':()')}" in ChainPager().first(window).url
    assert f"_filter={quote(sparkql, safe=':()')}" in SparkTokenPager().first(window).url
