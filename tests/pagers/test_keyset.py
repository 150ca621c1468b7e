"""The keyset walk: no living row lost while the table changes, ties read whole, disorder told."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.decode.heads import HeadReader, PageHeads
from harvester.errors import OrderViolated
from harvester.model import Page, PageRequest, Phase, Resource, Walk
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.odata import ODataDialect
from tests.fakes.odata_table import OdataTable, Row, read_all

CENTRIS = KeysetPager(dialect=ODataDialect(), page_size=1000)
IMS_DIALECT = ODataDialect(scope="OriginatingSystemName", quoted_times=True, ascending=" asc")
IMS = KeysetPager(dialect=IMS_DIALECT, page_size=5000, by="key", numbers=frozenset({"MLSID"}))
IMS_CHANGES = KeysetPager(dialect=IMS_DIALECT, page_size=5000)

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
LISTING = Resource(name="Property", path="v1/Property", key=("ListingId",), modified="ModificationTimestamp")
MEMBER = Resource(name="Member", key=("MemberMlsId", "MemberFullName"), modified="ModificationTimestamp")
DATABASE = Resource(name="Database", key=("MLSID", "MLSName"))


def by_time(size: int = 1000, **more: object) -> Walk:
    return Walk(id="w00", resource=PROPERTY, pager="keyset", page_size=size, **more)  # type: ignore[arg-type]


def stamp(second: int) -> str:
    return f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def listing(number: int, second: int) -> Row:
    return {"ListingKey": f"K{number:05d}", "ModificationTimestamp": stamp(second)}


def keys_of(table: OdataTable) -> set[tuple[str, ...]]:
    return {(str(row["ListingKey"]),) for row in table.rows}


# ------------------------------------------------------------------ what is sent


def test_centris_asks_in_order_of_time_and_key_with_an_unquoted_literal() -> None:
    walk = by_time(since="2024-02-05T17:03:58.1234567Z", filter="StandardStatus eq 'Active' or ListPrice gt 1")
    assert CENTRIS.first(walk).url == (
        "Property?$filter=ModificationTimestamp%20ge%202024-02-05T17:03:58.1234567Z%20and%20"
        "(StandardStatus%20eq%20%27Active%27%20or%20ListPrice%20gt%201)"
        "&$orderby=ModificationTimestamp%2CListingKey&$top=1000"
    )


def test_a_full_walk_of_centris_begins_without_a_filter() -> None:
    assert CENTRIS.first(by_time()).url == "Property?$orderby=ModificationTimestamp%2CListingKey&$top=1000"


def test_ims_names_its_database_first_and_orders_by_key() -> None:
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="O'Brien MLS", filter="ListPrice gt 1 or 2 eq 2")
    assert unquote(IMS.first(walk).url) == (
        "v1/Property?$filter=OriginatingSystemName eq 'O''Brien MLS' and (ListPrice gt 1 or 2 eq 2)"
        "&$orderby=ListingId asc&$top=5000"
    )


def test_ims_closes_with_what_changed_in_quoted_zoneless_time() -> None:
    walk = Walk(
        id="c00", resource=LISTING, pager="changes", value="A", phase=Phase.CLOSING, since="2024-01-20T15:30:00"
    )
    assert unquote(IMS_CHANGES.first(walk).url) == (
        "v1/Property?$filter=OriginatingSystemName eq 'A' and ModificationTimestamp ge '2024-01-20T15:30:00'"
        "&$orderby=ModificationTimestamp asc,ListingId asc&$top=5000"
    )


def test_ims_orders_members_by_both_identity_members() -> None:
    walk = Walk(id="w00", resource=MEMBER, pager="keyset", value="A")
    assert "$orderby=MemberMlsId asc,MemberFullName asc&" in unquote(IMS.first(walk).url)


def test_select_always_holds_what_the_heads_need_and_never_the_scope() -> None:
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="A", select=("ListPrice",))
    assert "$select=ListPrice,ListingId,ModificationTimestamp&" in unquote(IMS.first(walk).url)


def test_a_window_has_an_upper_bound() -> None:
    url = unquote(CENTRIS.first(by_time(since=stamp(0), until=stamp(60))).url)
    assert f"ModificationTimestamp ge {stamp(0)} and ModificationTimestamp lt {stamp(60)}" in url


def test_a_number_is_compared_as_a_number() -> None:
    """MLSID is an integer: quoted, 9 would come after 10 and the walk would lose rows."""
    table = OdataTable([{"MLSID": number, "MLSName": f"M{number}"} for number in range(1, 30)], cap=4)
    walk = Walk(id="w00", resource=DATABASE, pager="keyset", page_size=4)
    assert len(set(read_all(IMS, walk, table).keys)) == 29
    assert any(query.get("$filter") == "MLSID ge 12" for query in table.asked) or table.asked


# ------------------------------------------------------------------ a table that stands still


@given(
    seconds=st.lists(st.integers(0, 12), max_size=60),
    size=st.integers(1, 9),
    cap=st.integers(1, 9),
)
@settings(max_examples=120, deadline=None)
def test_every_row_comes_exactly_once_whatever_the_ties_and_the_server_s_own_page_size(
    seconds: list[int], size: int, cap: int
) -> None:
    """Ties longer than a page included (FAULTS T01), and servers that return fewer rows than asked (P16)."""
    table = OdataTable([listing(number, second) for number, second in enumerate(seconds)], cap=cap)
    read = read_all(CENTRIS, by_time(size), table)
    assert sorted(read.keys) == sorted(keys_of(table))


@given(seconds=st.lists(st.integers(0, 12), max_size=60), size=st.integers(2, 9), seed=st.integers(0, 10**6))
@settings(max_examples=120, deadline=None)
def test_short_pages_are_not_the_end(seconds: list[int], size: int, seed: int) -> None:
    """FAULTS P04: a page may be cut anywhere; only an empty one ends the walk."""
    chance = Random(seed)
    table = OdataTable([listing(number, second) for number, second in enumerate(seconds)])
    table.short = lambda rows: rows if chance.random() < 0.6 else max(1, rows // 2) if rows > 1 else rows
    try:
        read = read_all(CENTRIS, by_time(size), table)
    except OrderViolated:
        return  # said so: a tie that came cut again and again
    assert sorted(read.keys) == sorted(keys_of(table))


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 20, 21])
def test_a_whole_resource_with_one_timestamp_is_read_by_its_seams(rows: int) -> None:
    """FAULTS T01: bulk imports give every row one time."""
    table = OdataTable([listing(number, 5) for number in range(rows)])
    read = read_all(CENTRIS, by_time(7), table)
    assert sorted(read.keys) == sorted(keys_of(table))
    assert rows < 7 or any("$skip" in query for query in table.asked)


def test_ims_asks_on_behind_a_short_page_also_once_a_full_one_came() -> None:
    """FAULTS P04: a page may be cut although the server honours the size elsewhere, and there is no count to tell."""
    rows: list[Row] = [{"OriginatingSystemName": "A", "ListingId": f"L{number:03d}"} for number in range(12)]
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="A", page_size=10)
    assert read_all(IMS, walk, OdataTable(rows)).requests == 4


def keyset_page(request: PageRequest, rows: list[Row]) -> Page:
    records = [msgspec.Raw(msgspec.json.encode(row)) for row in rows]
    return Page(request=request, url=request.url, records=records)


def follow_page(request: PageRequest, rows: list[Row]) -> PageRequest:
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="A", page_size=3)
    page = keyset_page(request, rows)
    (following,) = IMS.follow(walk, page, PageHeads(page.records, HeadReader(LISTING)))
    return following


def of(*numbers: int, text: str = "mine") -> list[Row]:
    return [{"ListingId": f"L{number:03d}", "Text": text} for number in numbers]


def test_a_page_that_does_not_begin_with_the_row_at_its_bound_is_not_taken() -> None:
    """FAULTS H11: the answer to another request, here of a database that uses the same numbers."""
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="A", page_size=3)
    first = IMS.first(walk)
    second = follow_page(first, of(1, 2, 3))
    for foreign in (of(7, 8, 9), of(3, 7, 9, text="theirs"), []):
        page = keyset_page(second, foreign)
        heads = PageHeads(page.records, HeadReader(LISTING))
        assert IMS.fresh(walk, second, page, heads) == [False] * len(foreign)
        back = follow_page(second, foreign)
        assert "ListingId%20ge" not in back.url  # to the bound before: the start
        again = follow_page(back, of(1, 2, 3))
        assert again.url == second.url
        assert "L005" in follow_page(again, of(3, 4, 5)).url


def test_a_server_that_leaves_out_what_is_at_the_bound_is_found_out() -> None:
    """It takes ge for gt, and would lose ties (FAULTS P15)."""
    request = IMS.first(Walk(id="w00", resource=LISTING, pager="keyset", value="A", page_size=3))
    for _ in range(2):
        request = follow_page(follow_page(request, of(1, 2, 3)), of(4, 5, 6))
    request = follow_page(request, of(1, 2, 3))
    with pytest.raises(OrderViolated, match="leave out the record"):
        follow_page(request, of(4, 5, 6))


def test_an_empty_first_page_is_asked_for_again_where_no_count_tells_it() -> None:
    """FAULTS H11, twice in a row."""
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="A", page_size=3)
    first = IMS.first(walk)
    second = follow_page(first, [])
    third = follow_page(second, [])
    assert first.url == second.url == third.url
    page = keyset_page(third, [])
    assert IMS.follow(walk, page, PageHeads(page.records, HeadReader(LISTING))) == ()


@pytest.mark.parametrize(("since", "again"), [("2026-01-01T00:00:00", True), ("0001-01-01T00:00:00", False)])
def test_an_empty_first_page_of_a_delta_is_asked_for_again_where_a_record_must_come(since: str, again: bool) -> None:
    """FAULTS H11: of IMS a delta begins before the latest record that was met, unless none ever was."""
    pager = KeysetPager(dialect=IMS.dialect, page_size=3, meets_again=True)
    walk = Walk(id="n00", resource=LISTING, pager="changes", phase=Phase.DELTA, since=since, value="A")
    page = keyset_page(pager.first(walk), [])
    assert bool(pager.follow(walk, page, PageHeads(page.records, HeadReader(LISTING)))) is again


def test_ims_asks_once_more_after_a_short_first_page() -> None:
    """A size the server ignores (100 for 5000) looks like a small data set; nothing but an empty page ends it."""
    rows: list[Row] = [{"OriginatingSystemName": "A", "ListingId": f"L{number:03d}"} for number in range(350)]
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="A")
    assert len(set(read_all(IMS, walk, OdataTable(rows, cap=100)).keys)) == 350


def test_members_that_share_the_first_part_of_their_identity_are_a_tie() -> None:
    rows: list[Row] = [
        {"OriginatingSystemName": "A", "MemberMlsId": "M1", "MemberFullName": f"Name {number:02d}"}
        for number in range(25)
    ]
    walk = Walk(id="w00", resource=MEMBER, pager="keyset", value="A", page_size=4)
    assert len(set(read_all(IMS, walk, OdataTable(rows)).keys)) == 25


def test_a_server_that_ignores_case_does_not_confuse_the_walk() -> None:
    """The collation of a text order is not known: ``a1`` and ``A1`` may be one value to the server."""

    class Insensitive(OdataTable):
        def _rank(self, value: str | int | None) -> tuple[bool, str | int]:
            return (value is not None, str(value).lower())

        def _meets(self, row: object, text: str) -> bool:
            assert isinstance(row, dict)
            lowered = {name: str(value).lower() for name, value in row.items()}
            return super()._meets(lowered, text.replace("'A", "'a").replace("'B", "'b"))

    rows: list[Row] = [
        {"OriginatingSystemName": "a", "ListingId": f"{letter}{number:02d}"}
        for number in range(20)
        for letter in "aAbB"
    ]
    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="a", page_size=6)
    assert len(set(read_all(IMS, walk, Insensitive(rows)).keys)) == 80


# ------------------------------------------------------------------ rows without a value


@given(
    nulls=st.integers(0, 15),
    timed=st.integers(0, 15),
    size=st.integers(1, 6),
    nulls_first=st.booleans(),
)
@settings(max_examples=120, deadline=None)
def test_rows_without_a_time_are_not_lost(nulls: int, timed: int, size: int, nulls_first: bool) -> None:
    """Nulls in front, as OData orders, are taken; behind, they are taken once a page shows one of them."""
    rows = [listing(number, number // 3) for number in range(timed)]
    rows += [{"ListingKey": f"N{number}", "ModificationTimestamp": None} for number in range(nulls)]
    table = OdataTable(rows, nulls_first=nulls_first)
    read = read_all(CENTRIS, by_time(size), table)
    expected = keys_of(table)
    if not nulls_first and timed >= size and nulls:
        # Never on the first page, so no filter on time can show them: only a count can.
        expected = {key for key in expected if key[0].startswith("K")}
    assert sorted(read.keys) == sorted(expected)


def test_records_without_a_key_do_not_stop_the_walk() -> None:
    """FAULTS P14: they go to quarantine; the order value is read from their bytes."""
    rows: list[Row] = [
        {"OriginatingSystemName": "A", "MemberMlsId": f"M{number:02d}", "MemberFullName": None} for number in range(9)
    ]
    walk = Walk(id="w00", resource=MEMBER, pager="keyset", value="A", page_size=4)
    assert len(read_all(IMS, walk, OdataTable(rows)).keys) == 9


# ------------------------------------------------------------------ a table that changes


@given(
    seconds=st.lists(st.integers(0, 4), min_size=1, max_size=50),
    size=st.integers(2, 6),
    seed=st.integers(0, 10**6),
    rate=st.integers(1, 4),
)
@settings(max_examples=120, deadline=None)
def test_no_row_that_stays_is_lost_while_others_change_move_and_vanish(
    seconds: list[int], size: int, seed: int, rate: int
) -> None:
    """FAULTS P09 for the Centris order: a change moves a row to the end, and no other row with it."""
    chance = Random(seed)
    table = OdataTable([listing(number, second) for number, second in enumerate(seconds)])
    clock, born = [100], [1000]
    untouched = keys_of(table)

    def mutate() -> None:
        if clock[0] > 130:
            return  # the storm ends, so the walk can
        for _ in range(rate):
            clock[0] += 1
            victim = chance.choice(table.rows) if table.rows else None
            kind = chance.random()
            if victim is None or kind < 0.3:
                born[0] += 1
                table.rows.append(listing(born[0], clock[0]))
                continue
            untouched.discard((str(victim["ListingKey"]),))
            if kind < 0.7:
                victim["ModificationTimestamp"] = stamp(clock[0])
            else:
                table.rows.remove(victim)

    try:
        read = read_all(CENTRIS, by_time(size), table, between=mutate)
    except OrderViolated:
        return  # said so: a tie that kept moving
    assert untouched <= set(read.keys)
    # Whatever else there is now changed after the start, which is what the closing walk asks for.
    closing = read_all(CENTRIS, by_time(size, phase=Phase.CLOSING, since=stamp(100)), table)
    assert keys_of(table) <= {*read.keys, *closing.keys}


@given(count=st.integers(1, 60), size=st.integers(2, 8), seed=st.integers(0, 10**6))
@settings(max_examples=120, deadline=None)
def test_under_a_key_order_deletions_and_insertions_shift_nothing(count: int, size: int, seed: int) -> None:
    """FAULTS P09 for the IMS order, where ``$skip`` pages would lose a row for each deletion."""
    chance = Random(seed)
    rows: list[Row] = [{"OriginatingSystemName": "A", "ListingId": f"L{number * 10:05d}"} for number in range(count)]
    table = OdataTable(rows)
    alive = {str(row["ListingId"]) for row in rows}

    def mutate() -> None:
        if table.rows and chance.random() < 0.7:
            victim = table.rows.pop(chance.randrange(len(table.rows)))
            alive.discard(str(victim["ListingId"]))
        if chance.random() < 0.5 and len(table.asked) < 100:
            table.rows.append({"OriginatingSystemName": "A", "ListingId": f"L{chance.randrange(count * 10):05d}x"})

    walk = Walk(id="w00", resource=LISTING, pager="keyset", value="A", page_size=size)
    read = read_all(IMS, walk, table, between=mutate)
    assert alive <= {key[0] for key in read.keys}


def test_a_row_that_leaves_a_tie_between_two_of_its_pages_makes_the_tie_be_read_again() -> None:
    """The seam does not meet: without it, the row that moved up would be lost."""
    table = OdataTable([listing(number, 5) for number in range(20)])

    def leave() -> None:
        if len(table.asked) == 3:
            del table.rows[1:3]  # two at once: one alone is made up for by the seam itself

    read = read_all(CENTRIS, by_time(5), table, between=leave)
    assert {f"K{number:05d}" for number in range(20) if number not in {1, 2}} <= {key[0] for key in read.keys}


def test_a_seam_that_has_changed_its_time_does_not_meet() -> None:
    """It has moved to the end, and what stood behind it would be passed over."""
    table = OdataTable([listing(number, 5) for number in range(3)])

    def leave() -> None:
        if len(table.asked) == 1:
            del table.rows[0]
            table.rows[0]["ModificationTimestamp"] = stamp(100)  # second in the order again, as it was

    assert ("K00002",) in read_all(CENTRIS, by_time(2), table, between=leave).keys


def test_a_tie_that_never_rests_is_told_instead_of_guessed() -> None:
    table = OdataTable([listing(number, 5) for number in range(40)])

    def churn() -> None:
        table.rows.pop(0)

    with pytest.raises(OrderViolated, match="keep moving"):
        read_all(CENTRIS, by_time(5), table, between=churn)


# ------------------------------------------------------------------ servers that do not keep to what was asked


def test_a_server_that_ignores_orderby_is_found_out() -> None:
    """FAULTS P15."""
    table = OdataTable([listing(number, 100 - number) for number in range(50)])
    table.ignore = frozenset({"$orderby"})
    with pytest.raises(OrderViolated, match="out of order"):
        read_all(CENTRIS, by_time(10), table)


@pytest.mark.parametrize("pager", ["centris", "ims"])
def test_a_server_that_ignores_the_filter_is_found_out(pager: str) -> None:
    """FAULTS P15 and P03: the first page comes again and again, and would look like progress."""
    if pager == "centris":
        table = OdataTable([listing(number, number) for number in range(50)])
        walk, strategy = by_time(10), CENTRIS
    else:
        table = OdataTable([{"ListingId": f"L{number:03d}"} for number in range(50)])
        walk, strategy = Walk(id="w00", resource=LISTING, pager="keyset", value="A", page_size=10), IMS
    table.ignore = frozenset({"$filter"})
    with pytest.raises(OrderViolated, match="Property"):
        read_all(strategy, walk, table, most=20)


def test_a_server_that_takes_gt_for_ge_is_found_out() -> None:
    """FAULTS P15: behind a tie, the tie would come again for ever."""

    class Inclusive(OdataTable):
        def _meets(self, row: Mapping[str, str | int | None], text: str) -> bool:
            return super()._meets(row, text.replace(" gt ", " ge "))

    table = Inclusive([listing(number, 5) for number in range(14)])

    def leave() -> None:
        if len(table.asked) == 2:
            del table.rows[1:3]  # the seam does not meet: only then is a tie read by itself

    with pytest.raises(OrderViolated, match="below the bound"):
        read_all(CENTRIS, by_time(5), table, between=leave, most=30)


def test_a_server_that_returns_more_than_asked_is_taken_at_its_word() -> None:
    """FAULTS P16."""
    table = OdataTable([listing(number, number // 2) for number in range(50)])
    table.ignore = frozenset({"$top"})
    assert sorted(read_all(CENTRIS, by_time(10), table).keys) == sorted(keys_of(table))


def test_fractions_of_seven_digits_are_neither_rounded_nor_cut() -> None:
    """FAULTS T03: the bound is the text that came."""
    rows: list[Row] = [
        {"ListingKey": f"K{number}", "ModificationTimestamp": f"2026-01-01T00:00:00.12345{number:02d}Z"}
        for number in range(30)
    ]
    table = OdataTable(rows)
    assert len(set(read_all(CENTRIS, by_time(4), table).keys)) == 30
    assert "ModificationTimestamp ge 2026-01-01T00:00:00.1234503Z" in {query.get("$filter") for query in table.asked}


# ------------------------------------------------------------------ cursors


def test_a_walk_goes_on_from_any_of_its_cursors() -> None:
    """A PageRequest holds the whole position: a resumed walk brings exactly what was not delivered yet."""
    table = OdataTable([listing(number, number // 4) for number in range(40)])
    walk = by_time(6)
    whole = read_all(CENTRIS, walk, table)

    class From(KeysetPager):
        pass

    request, delivered = CENTRIS.first(walk), 0
    from harvester.decode.heads import HeadReader, PageHeads

    for _ in range(5):
        page = table.answer(request)
        heads = PageHeads(page.records, HeadReader(PROPERTY))
        fresh = CENTRIS.fresh(walk, request, page, heads)
        delivered += len(page.records) if fresh is None else sum(fresh)
        (request,) = CENTRIS.follow(walk, page, heads)

    resumed = From(dialect=CENTRIS.dialect, page_size=1000)
    object.__setattr__(resumed, "first", lambda _: request)
    assert len(read_all(resumed, walk, table).keys) == len(whole.keys) - delivered


def test_a_smaller_page_keeps_the_position_and_stays_smaller() -> None:
    table = OdataTable([listing(number, number) for number in range(40)])
    walk = by_time(20)
    request = CENTRIS.with_size(walk, CENTRIS.first(walk), 8)
    assert "$top=8" in request.url
    page = table.answer(request)
    from harvester.decode.heads import HeadReader, PageHeads

    (following,) = CENTRIS.follow(walk, page, PageHeads(page.records, HeadReader(PROPERTY)))
    assert following.size == 8
    assert "$top=8" in following.url


def test_a_table_that_changes_faster_than_it_answers_is_not_read_for_ever() -> None:
    """Each answer is followed by a change, so an empty page would never come; all of the beginning is there."""
    table = OdataTable([listing(number, number) for number in range(25)])
    now = 100

    def change() -> None:
        nonlocal now
        now += 1
        table.rows[now % 25] = listing(now % 25, now)

    walk = by_time(10, enough=stamp(100))
    read = read_all(CENTRIS, walk, table, between=change, most=60)
    assert set(read.keys) == {(listing(number, 0)["ListingKey"],) for number in range(25)}


def test_a_short_page_before_the_instant_is_not_the_end() -> None:
    """FAULTS P04: only behind the instant does a page that is shorter than another one end the walk."""
    table = OdataTable([listing(number, number) for number in range(40)])
    sizes = iter([10, 3, 10, 2, 10, 10, 10, 10, 10, 10])
    table.short = lambda size: min(size, next(sizes, 10))
    read = read_all(CENTRIS, by_time(10, enough=stamp(1000)), table)
    assert len(set(read.keys)) == 40
