"""Lead windows: the whole horizon is asked for, in windows the API takes, and no answer is trusted that may be cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from harvester.errors import ArgumentError, FilterIgnored, OrderViolated, PageTooLarge, ProtocolError
from harvester.model import Page, PageRequest, PerValue, Phase, Resource, Walk
from harvester.pagers.lead_windows import LeadWindowPager

LEADS = Resource(name="leads/lead", key=("id",), page_size=500)
NOTES = Resource(
    name="leads/note",
    path="leads/note/{value}",
    key=("id",),
    per_value=PerValue(resource="leads/lead", member="id", stamp="_leadID"),
)
UNTIL = "2026-03-01 12:00:00"
WEEK = 168.0


def make_walk(resource: Resource = LEADS, **settings: object) -> Walk:
    return Walk(id="w00", resource=resource, pager="windows", **{"until": UNTIL, **settings})  # type: ignore[arg-type]


def make_page(request: PageRequest, rows: int = 0, *, link: str | None = None, count: int | None = None) -> Page:
    records = [Raw(b'{"id":"%d"}' % number) for number in range(rows)]
    return Page(request=request, url=request.url, records=records, next_link=link, count=count)


def span_of(request: PageRequest) -> tuple[datetime, datetime]:
    """What the request asks for, as the API reads it: ``startDatetime`` is the end, ``interval`` the hours before."""
    query = parse_qs(urlsplit(request.url).query)
    end = datetime.strptime(query["startDatetime"][0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return end - timedelta(hours=float(query["interval"][0])), end


def walk_through(
    walk: Walk, answer: Callable[[PageRequest], Page] = make_page, most: int = 100_000
) -> list[tuple[datetime, datetime]]:
    """Every window whose answer was used, too fat ones asked again by halves as the engine does."""
    return [span_of(page.request) for page in pages_of(walk, answer, most)]


def pages_of(walk: Walk, answer: Callable[[PageRequest], Page], most: int = 100_000) -> list[Page]:
    """The answers that were used."""
    pager = LeadWindowPager()
    todo: list[PageRequest] = [pager.first(walk)]
    pages: list[Page] = []
    while todo and len(pages) < most:
        request = todo.pop(0)
        page = answer(request)
        try:
            todo.extend(pager.follow(walk, page, ()))
        except PageTooLarge:
            smaller = pager.with_size(walk, request, None)
            if smaller == request:
                raise
            todo.insert(0, smaller)
            continue
        pages.append(page)
    return pages


def test_the_first_window_ends_at_the_start_of_the_run_and_looks_a_week_back() -> None:
    """The window is reversed: startDatetime is its end. The blank of the time is sent as a plus."""
    request = LeadWindowPager().first(make_walk())
    assert request.url == "leads/lead?interval=168&startDatetime=2026-03-01+12:00:00"


def test_a_walk_of_one_lead_names_it_in_the_path() -> None:
    request = LeadWindowPager().first(make_walk(NOTES, value="50/1", horizon=3600.0))
    assert request.url == "leads/note/50%2F1?interval=1&startDatetime=2026-03-01+12:00:00"


def test_fields_and_filter_go_along_with_every_window() -> None:
    walk = make_walk(select=("id", "email"), filter="dateType=lastEdited")
    pager = LeadWindowPager()
    first = pager.first(walk)
    (second,) = pager.follow(walk, make_page(first), ())
    for request in (first, second):
        assert request.url.endswith("&rf%5B%5D=id&rf%5B%5D=email&dateType=lastEdited")


def test_without_a_horizon_a_year_is_read_in_53_windows() -> None:
    spans = walk_through(make_walk())
    assert len(spans) == 53
    assert spans[-1][0] <= datetime(2025, 3, 1, 12, tzinfo=UTC)


def test_neighbouring_windows_share_a_second_so_that_no_edge_belongs_to_nobody() -> None:
    spans = walk_through(make_walk())
    for newer, older in pairwise(spans):
        assert timedelta(seconds=1) <= older[1] - newer[0] < timedelta(seconds=2)


def test_an_empty_window_is_no_end() -> None:
    """A week without leads (204) says nothing about the weeks before it."""
    spans = walk_through(make_walk(horizon=3 * 7 * 86400.0))
    assert len(spans) == 4  # three weeks and the overlaps


@settings(max_examples=60, deadline=None)
@given(
    horizon=st.floats(min_value=1, max_value=400 * 86400.0),
    until=st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2090, 1, 1)),
)
def test_windows_cover_every_instant_of_any_horizon_and_keep_to_the_limits(horizon: float, until: datetime) -> None:
    until = until.replace(microsecond=0, tzinfo=UTC)
    spans = walk_through(make_walk(until=f"{until:%Y-%m-%d %H:%M:%S}", horizon=horizon))
    assert spans[0][1] == until
    assert spans[-1][0] <= until - timedelta(seconds=horizon)
    for newer, older in pairwise(spans):
        assert older[1] > newer[0]
    for start, end in spans:
        assert timedelta(hours=0.0166) <= end - start <= timedelta(hours=WEEK)


@settings(max_examples=40, deadline=None)
@given(burst=st.integers(min_value=500, max_value=3000), at=st.integers(min_value=0, max_value=20 * 86400))
def test_a_burst_of_leads_is_read_by_halves_without_a_gap(burst: int, at: int) -> None:
    """An answer of exactly 500 leads may hide others: nothing of it is used, a shorter window is asked for."""
    until = datetime(2026, 3, 1, 12, tzinfo=UTC)
    leads = [until - timedelta(seconds=at + n) for n in range(burst)] + [until - timedelta(days=d) for d in range(20)]

    def answer(request: PageRequest) -> Page:
        """The 500 newest leads inside the window, both edges left out; nothing tells that some were cut off."""
        start, end = span_of(request)
        inside = [n for n, lead in enumerate(leads) if start < lead < end or lead == end == until]
        records = [Raw(b'{"id":%d}' % n) for n in inside[:500]]
        return Page(request=request, url=request.url, records=records)

    pages = pages_of(make_walk(horizon=21 * 86400.0), answer, most=300)
    found = {bytes(record) for page in pages for record in page.records}
    assert len(found) == len(leads), "a lead was cut off and nobody asked for it again"
    assert len(pages) < 60, "windows must grow again once the burst is read"


def test_an_answer_longer_than_the_cap_was_not_cut_by_it() -> None:
    """Servers without the cap of 500 give all; asking again would only cost quota."""
    pager, walk = LeadWindowPager(), make_walk()
    assert pager.follow(walk, make_page(pager.first(walk), 501), ())


def test_a_window_too_large_for_the_server_is_halved_from_the_same_end() -> None:
    """Status 413 (FAULTS S09): the same end, half the hours."""
    pager, walk = LeadWindowPager(), make_walk()
    request = pager.first(walk)
    smaller = pager.with_size(walk, request, None)
    assert smaller.url == "leads/lead?interval=84&startDatetime=2026-03-01+12:00:00"


def test_halving_ends_at_the_shortest_window_the_api_knows() -> None:
    pager, walk = LeadWindowPager(), make_walk()
    request = pager.first(walk)
    for _ in range(40):
        smaller = pager.with_size(walk, request, None)
        if smaller == request:
            break
        request = smaller
    assert "interval=0.0167&" in request.url
    assert pager.with_size(walk, request, None) == request


def test_a_halved_walk_resumes_from_its_cursor_alone() -> None:
    pager, walk = LeadWindowPager(), make_walk()
    halved = pager.with_size(walk, pager.first(walk), None)
    (following,) = LeadWindowPager().follow(walk, make_page(halved, 400), ())
    assert following.url == "leads/lead?interval=84&startDatetime=2026-02-26+00:00:01"


def test_pages_inside_a_window_are_followed_before_the_next_window() -> None:
    """Newer versions page a window; their link does not repeat interval and startDatetime, so they are put on again."""
    pager, walk = LeadWindowPager(), make_walk()
    first = pager.first(walk)
    link = "https://api.example.com/leads/lead?offset=500&limit=500"
    (second,) = pager.follow(walk, make_page(first, 500, link=link, count=700), ())
    assert second.url == f"{link}&interval=168&startDatetime=2026-03-01+12:00:00"
    (third,) = pager.follow(walk, make_page(second, 200, count=700), ())
    assert third.url == "leads/lead?interval=168&startDatetime=2026-02-22+12:00:01"


def test_a_window_whose_total_moved_is_read_again() -> None:
    pager, walk = LeadWindowPager(), make_walk()
    first = pager.first(walk)
    link = "https://api.example.com/leads/lead?offset=500&limit=500"
    (second,) = pager.follow(walk, make_page(first, 500, link=link, count=700), ())
    (again,) = pager.follow(walk, make_page(second, 201, count=701), ())
    assert again.url == first.url
    (older,) = pager.follow(walk, make_page(again, 701, count=701), ())
    assert "2026-02-22" in older.url


def test_a_window_that_never_holds_still_is_not_called_complete() -> None:
    pager, walk = LeadWindowPager(), make_walk()
    request = pager.first(walk)
    for _ in range(2):
        (request,) = pager.follow(walk, make_page(request, 10, count=12), ())
    with pytest.raises(OrderViolated, match="cannot be called complete"):
        pager.follow(walk, make_page(request, 10, count=12), ())


def test_a_link_to_the_same_page_stops_the_walk() -> None:
    """FAULTS P01."""
    pager, walk = LeadWindowPager(), make_walk()
    first = pager.first(walk)
    link = "https://api.example.com/leads/lead?offset=500&limit=500"
    (second,) = pager.follow(walk, make_page(first, 500, link=link, count=1700), ())
    with pytest.raises(ProtocolError, match="leads back"):
        pager.follow(walk, make_page(second, 500, link=link, count=1700), ())


@pytest.mark.parametrize("until", [None, "", "2026-03-01T12:00:00Z", "yesterday"])
def test_a_walk_without_a_readable_end_is_refused(until: str | None) -> None:
    with pytest.raises(ArgumentError, match="YYYY-MM-DD hh:mm:ss"):
        LeadWindowPager().first(make_walk(until=until))


def test_duplicates_of_the_shared_second_are_left_to_their_keys() -> None:
    pager, walk = LeadWindowPager(), make_walk()
    request = pager.first(walk)
    heads: Sequence[object] = ()
    assert pager.fresh(walk, request, make_page(request, 3), heads) is None  # type: ignore[arg-type]


# ------------------------------------------------------------------ changes only


DATES = ("subscribeDate", "lastEdited", "lastActivityDate")


def changes_walk(hours: float) -> Walk:
    """A delta whose watermark lies so far back; its horizon is that of a full walk."""
    since = datetime(2026, 3, 1, 12, tzinfo=UTC) - timedelta(hours=hours)
    return make_walk(phase=Phase.DELTA, since=f"{since:%Y-%m-%d %H:%M:%S}")


def changes_since(hours: float) -> list[PageRequest]:
    """What a delta asks for, when its watermark lies so far back."""
    pager = LeadWindowPager(dates={"leads/lead": DATES})
    walk = changes_walk(hours)
    asked, todo = [], [pager.first(walk)]
    while todo:
        asked.append(todo.pop())
        todo.extend(pager.follow(walk, make_page(asked[-1]), ()))
    return asked


def test_a_delta_asks_for_one_window_over_each_date_that_a_change_may_move() -> None:
    """IDX Broker contract, section 8: a lead may change without lastEdited."""
    assert [request.url for request in changes_since(7.5)] == [
        f"leads/lead?interval=7.5&startDatetime=2026-03-01+12:00:00&dateType={date}" for date in DATES
    ]


def test_a_delta_after_three_weeks_tiles_them_over_each_date() -> None:
    asked = changes_since(3 * WEEK)
    for date in DATES:
        spans = [span_of(request) for request in asked if f"dateType={date}" in request.url]
        assert spans[0][1] - spans[-1][0] >= timedelta(hours=3 * WEEK)
        assert all(earlier[1] > later[0] for later, earlier in pairwise(spans))
        assert all(end - begin <= timedelta(hours=WEEK, seconds=1) for begin, end in spans)
    assert len(asked) == 4 * len(DATES)


def test_halves_of_a_window_keep_its_date() -> None:
    """Status 413 says that a window holds too much (IDX Broker contract, section 2)."""
    pager = LeadWindowPager(dates={"leads/lead": DATES})
    walk = changes_walk(WEEK)
    second = pager.follow(walk, make_page(pager.first(walk)), ())[0]
    assert pager.with_size(walk, second, None).url.endswith("&dateType=lastEdited")
    assert "interval=84&" in pager.with_size(walk, second, None).url


def test_a_full_walk_goes_by_one_date_only() -> None:
    pager = LeadWindowPager(dates={"leads/lead": DATES})
    assert "dateType" not in pager.first(make_walk(horizon=3600.0)).url


@pytest.mark.parametrize(
    ("date", "ignored"),
    [
        ("2026-03-01 11:00:00", False),
        ("2026-02-28 16:00:00", False),  # in some zone
        ("2026-02-20 11:00:00", True),
        ("0000-00-00 00:00:00", True),
    ],
)
def test_a_record_that_is_not_of_the_date_asked_about_is_noticed(date: str, ignored: bool) -> None:
    """FAULTS P15: a server that does not know dateType answers by its own date, and hides what was edited."""
    pager = LeadWindowPager(dates={"leads/lead": ("lastEdited",)})
    walk = changes_walk(7.5)
    request = pager.first(walk)
    page = Page(request=request, url=request.url, records=[Raw(f'{{"id":"1","lastEdited":"{date}"}}'.encode())])
    if ignored:
        with pytest.raises(FilterIgnored, match="does not keep to dateType"):
            pager.follow(walk, page, ())
    else:
        assert pager.follow(walk, page, ()) == ()
