"""Offset pages in flight together lose no row that lives throughout, whatever comes and goes, or they say so."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from harvester.contracts import Grid
from harvester.engine.cells import Cell, Kind, Reached
from harvester.engine.seams import Cover
from harvester.errors import OrderViolated, SeamBroken
from harvester.pagers.numbered import Numbered
from harvester.pagers.skip import AnyOffset
from tests.engine.offset_server import OffsetServer, key, missing, walk

SCHEDULES = 800
GRIDS: tuple[tuple[Grid, bool], ...] = ((AnyOffset(), False), (Numbered(), True))


def rows_of(seed: int, number: int) -> list[int]:
    return sorted(Random(f"{seed}:rows").sample(range(max(10, number * 20)), number))


def server_of(seed: int) -> tuple[OffsetServer, Random, int, int, bool]:
    """A server drawn from *seed*, with: chance, page size, lanes, and whether it tells a total."""
    chance = Random(seed)
    number = chance.choice((0, 1, 2, 3, 7, 50, 200, 201, 400, 1000, 2000))
    size = chance.choice((7, 20, 50, 200, 1000))
    most = chance.choice((size, size, max(4, size // 2), max(4, size // 5)))
    now = [most]

    def moving(asked: int) -> int:
        if chance.random() < 0.05:
            now[0] = chance.choice((size, max(4, size // 2), 2 * size))
        return min(asked, now[0])

    caps: tuple[Callable[[int], int], ...] = (lambda asked: min(asked, most), moving)
    server = OffsetServer(
        rows_of(seed, number),
        chance,
        every=chance.choice((0, 1, 2, 3, 5)),
        inserts=chance.choice((0.5, 0.5, 0.0, 1.0, 0.2)),
        at_the_end=chance.choice((0.0, 0.5, 1.0)),
        cap=chance.choice(caps),
        count=chance.choice((lambda rows: None, lambda rows: rows, lambda rows: rows + 7, lambda rows: rows // 2)),
    )
    if chance.random() < 0.2:
        server.short = lambda rows: rows if chance.random() < 0.8 else chance.randrange(1, rows + 1)
    return server, chance, size, chance.choice((1, 2, 4, 16)), server.count(1) is not None


def cover_for(
    server: OffsetServer, size: int, lanes: int, counts: bool, grid: Grid, reached: Reached | None = None
) -> Cover:
    expected = server.count(len(server.rows)) if counts else None
    return Cover(grid, size, lanes=lanes, expected=expected, may_count=counts, reached=reached)


@pytest.mark.parametrize(("grid", "by_own_pages"), GRIDS, ids=("offset", "numbered"))
def test_no_row_that_lives_throughout_is_lost_in_any_order_of_events(grid: Grid, by_own_pages: bool) -> None:
    """FAULTS P04, P09, P13, P16: caps, short pages, lying counts, rows that come and go anywhere."""
    ended = 0
    for seed in range(SCHEDULES):
        server, chance, size, lanes, counts = server_of(seed)
        server.by_own_pages = by_own_pages
        cover = cover_for(server, size, lanes, counts, grid)
        try:
            walked = walk(cover, server, chance, lanes=lanes, patience=chance.choice((0.3, 0.5, 0.8)))
        except (SeamBroken, OrderViolated):
            continue
        ended += 1
        assert not missing(walked, server), f"seed {seed}"
    assert ended > SCHEDULES // 3


CUTS: tuple[Callable[[int], int], ...] = (
    lambda found: (found + 1) // 2,
    lambda found: (2 * found + 2) // 3,
    lambda found: found - 1,
    lambda found: found - 2,
)


@pytest.mark.parametrize(("grid", "by_own_pages"), GRIDS, ids=("offset", "numbered"))
@pytest.mark.parametrize("short", CUTS, ids=("half", "two thirds", "without the last", "without two"))
def test_short_pages_prove_nothing_where_no_page_came_as_it_was_asked_for(
    short: Callable[[int], int], grid: Grid, by_own_pages: bool
) -> None:
    """FAULTS P04, P09: a server that cuts every page, and rows that come or go at each request. Nearly all such walks
    end in another one; those that end by themselves are whole."""
    ended = 0
    for seed in range(600):
        chance = Random(seed + 77_000)
        rows = rows_of(seed, chance.choice((3, 5, 7, 9, 12, 20, 40)))
        server = OffsetServer(rows, chance, every=1, short=short, by_own_pages=by_own_pages)
        cover = cover_for(server, chance.choice((7, 20, 50)), 4, False, grid)
        try:
            walked = walk(cover, server, chance, lanes=4, most=3_000)
        except (SeamBroken, OrderViolated):
            continue
        ended += 1
        assert not missing(walked, server), f"seed {seed}"
    assert ended < 20


@pytest.mark.parametrize(("grid", "by_own_pages"), GRIDS, ids=("offset", "numbered"))
@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 7, 8, 11, 12, 13, 30])
def test_a_small_set_that_stands_still_is_read_without_another_walk(
    grid: Grid, by_own_pages: bool, counts: bool, number: int
) -> None:
    """All fits one page, and few pages could say that it is all; a silent cap makes no difference."""
    for cap in (1000, 20):
        server = OffsetServer(rows_of(number, number), Random(number), by_own_pages=by_own_pages)
        server.cap = partial(min, cap)
        server.count = lambda rows: rows if counts else None
        walked = walk(cover_for(server, 1000, 4, counts, grid), server, Random(1), lanes=4)
        assert not missing(walked, server)
        assert walked.requests <= (7 if counts else 9)


@pytest.mark.parametrize("size", [200, 1000])
@pytest.mark.parametrize(("grid", "by_own_pages"), GRIDS, ids=("offset", "numbered"))
@pytest.mark.parametrize("counts", [True, False])
def test_seams_cost_at_most_fifteen_requests_in_a_hundred(
    size: int, grid: Grid, by_own_pages: bool, counts: bool
) -> None:
    """Sixteen in flight, a row coming or going at every third request; also where the server caps pages silently."""
    for cap in (size, size * 3 // 10):
        server = OffsetServer(rows_of(size, 20_000), Random(size), every=3, cap=partial(min, cap))
        server.by_own_pages = by_own_pages
        server.count = lambda rows: rows
        walked = walk(cover_for(server, size, 16, counts, grid), server, Random(cap))
        assert not missing(walked, server)
        # Numbered pages fit each other worse the smaller they are, and without a total each is looked for alone.
        if not by_own_pages or (counts and cap >= 200):
            assert walked.requests <= 1.15 * math.ceil(20_000 / cap), (cap, walked.requests)


@pytest.mark.parametrize("every", [0, 3])
def test_without_a_total_pages_far_ahead_show_how_many_may_be_asked_for_at_once(every: int) -> None:
    """A hundred pages in a third of the round trips, sixteen at a time in the end, for a tenth more requests."""
    server = OffsetServer(rows_of(every, 100_000), Random(every), every=every)
    cover = Cover(AnyOffset(), 1000, lanes=16)
    seen: set[tuple[str, ...]] = set()
    trips = requests = most = 0
    while not cover.ended:
        cells = cover.wanted(16)
        trips, requests, most = trips + 1, requests + len(cells), max(most, len(cells))
        for cell, (rows, _) in [(cell, server.serve(cell)) for cell in cells]:
            if not cover.ended and answered(cover, rows, cell):
                seen.update(map(key, rows))
    assert not {key(row) for row in server.lasting} - seen
    assert (trips <= 45, most, requests <= 113) == (True, 16, True), (trips, most, requests)


def test_what_came_from_far_ahead_is_not_the_end_of_the_walk() -> None:
    """FAULTS P04: the page before it claims to be the last, and is not."""
    cover = Cover(AnyOffset(), 20, lanes=4)
    rows = list(range(2_000))
    far = None
    while far is None:
        for cell in cover.wanted(4):
            if cell.kind is Kind.FAR:
                far = cell
            else:
                answered(cover, rows[cell.start : cell.start + cell.size], cell)
    answered(cover, rows[far.start : far.start + far.size], far)
    server = OffsetServer(rows[: far.start - 5] + rows[far.start :], Random(1))  # five have gone
    walk(cover, server, Random(1), lanes=4)
    assert cover.ended
    assert cover.reached.end == len(server.rows)


def test_a_set_that_stands_still_costs_the_overlap_and_the_proof_of_its_end() -> None:
    server = OffsetServer(rows_of(1, 20_000), Random(1))
    server.count = lambda rows: rows
    walked = walk(cover_for(server, 1000, 16, True, AnyOffset()), server, Random(1))
    assert walked.requests == 22


@pytest.mark.parametrize(("grid", "by_own_pages"), GRIDS, ids=("offset", "numbered"))
def test_a_crash_at_any_moment_loses_nothing_behind_the_cursor(grid: Grid, by_own_pages: bool) -> None:
    """What is proved by the answers so far is all that a cursor may claim; pages beyond are read again."""
    resumed = 0
    for seed in range(SCHEDULES // 4):
        server, chance, size, lanes, counts = server_of(seed)
        server.by_own_pages = by_own_pages
        try:
            walked = walk(cover_for(server, size, lanes, counts, grid), server, chance, lanes=lanes, keep=True)
            if not walked.reached:
                continue
            at = chance.randrange(len(walked.reached))
            if walked.reached[at].edge:
                resumed += 1
            for _ in range(chance.choice((0, 0, 10, 100))):  # while nobody read
                server.change()
            again = cover_for(server, size, lanes, counts, grid, walked.reached[at])
            rest = walk(again, server, chance, lanes=lanes)
        except (SeamBroken, OrderViolated):
            continue
        held = set().union(*walked.answers[: at + 1]) | rest.seen
        assert not {key(row) for row in server.lasting} - held, f"seed {seed}"
    assert resumed > SCHEDULES // 12


# ---------------------------------------------------------------- what pages show


def answered(cover: Cover, rows: list[int], cell: Cell, count: int | None = None) -> bool:
    return cover.arrived(cell, [key(row) for row in rows], len(rows), count)


def begun(rows: list[int], *, size: int = 20, lanes: int = 4, expected: int | None = 400) -> tuple[Cover, list[Cell]]:
    """A cover whose first page holds *rows*, and what it asks for next."""
    cover = Cover(AnyOffset(), size, lanes=lanes, expected=expected)
    (first,) = cover.wanted(lanes)
    assert answered(cover, rows, first)
    return cover, cover.wanted(lanes)


def test_a_seam_that_does_not_meet_is_read_across() -> None:
    """Three rows before the boundary were deleted between the two readings: one row fell between the pages."""
    cover, cells = begun(list(range(20)))
    assert [cell.start for cell in cells] == [18, 36, 54, 72]
    answered(cover, list(range(21, 41)), cells[0])  # 18, 19 and 20 are missing: the seam has moved past them
    (mend,) = cover.wanted(1)
    assert mend.kind is Kind.MEND
    assert mend.start < 18
    answered(cover, list(range(mend.start, mend.start + mend.size)), mend)
    assert cover.mended == 1
    assert cover.reached.end >= 38


def test_the_part_that_a_short_page_left_out_is_read(  # FAULTS P04
) -> None:
    cover, cells = begun(list(range(20)))
    answered(cover, list(range(18, 25)), cells[0])
    answered(cover, list(range(36, 56)), cells[1])
    (fill,) = [cell for cell in cover.wanted(4) if cell.kind is Kind.FILL]
    assert fill.start <= 23
    assert fill.start + fill.size >= 38
    answered(cover, list(range(fill.start, fill.start + fill.size)), fill)
    assert cover.reached.end == 56


def test_the_cursor_stays_before_a_gap() -> None:
    cover, cells = begun(list(range(20)))
    answered(cover, list(range(36, 56)), cells[1])
    answered(cover, list(range(54, 74)), cells[2])
    assert cover.reached.end == 20
    answered(cover, list(range(18, 38)), cells[0])
    assert cover.reached.end == 74


def test_one_shared_row_is_not_enough_to_meet() -> None:
    """A server may repeat the last row of one page as the first of another (FAULTS P10)."""
    cover, cells = begun(list(range(20)))
    answered(cover, [19, *range(22, 41)], cells[0])
    assert cover.reached.end == 20
    assert cover.wanted(1)[0].kind is Kind.MEND


def test_pages_out_of_the_order_of_keys_end_the_walk() -> None:
    """FAULTS P15: a server that ignores the order."""
    cover, cells = begun(list(range(20)))
    mixed = list(range(18, 38))
    Random(1).shuffle(mixed)
    with pytest.raises(OrderViolated):
        answered(cover, mixed, cells[0])


def test_the_order_may_run_backwards() -> None:
    """It only has to stay the same: whoever turns it round has read everything at the end."""
    server = OffsetServer(rows_of(3, 500), Random(3))
    cover = Cover(AnyOffset(), 50, lanes=4)
    seen: set[tuple[str, ...]] = set()
    while not cover.ended:
        for cell in cover.wanted(1):
            page = server.rows[::-1][cell.start : cell.start + cell.size]
            answered(cover, page, cell)
            seen.update(map(key, page))
    assert seen == {key(row) for row in server.rows}


@pytest.mark.parametrize(
    "keys",
    [
        ("a1", "A2", "b1", "B9", "c0"),  # without regard to case
        ("9", "10", "100", "101", "2000"),  # digits by their value
        ("eclair", "éclair b", "éclair c", "zoo", "zoo a"),  # accents behind their letters
        ("O'Brien", "OBrien's", "O'Byrne", "Oslo", "Ost"),  # punctuation counts for nothing
    ],
)
def test_servers_may_compare_text_in_their_own_way(keys: tuple[str, ...]) -> None:
    cover = Cover(AnyOffset(), 5, expected=5)
    (cell,) = cover.wanted(1)
    assert cover.arrived(cell, [(name,) for name in keys], 5, None)


def test_the_answer_to_another_request_is_thrown_away_and_asked_for_again() -> None:
    """FAULTS H11."""
    cover, cells = begun(list(range(20)))
    answered(cover, list(range(18, 38)), cells[0])
    assert not answered(cover, list(range(20)), cells[2])
    answered(cover, list(range(36, 56)), cells[1])
    answered(cover, list(range(72, 92)), cells[3])
    assert any(cell.start <= 54 <= cell.start + cell.size for cell in cover.wanted(4))


def test_a_server_that_ignores_the_offset_ends_the_walk() -> None:
    """FAULTS P15: every page is the first one."""
    cover, cells = begun(list(range(20)))
    assert not answered(cover, list(range(20)), cells[1])
    assert not answered(cover, list(range(20)), cells[2])
    with pytest.raises(SeamBroken, match="other pages"):
        answered(cover, list(range(20)), cells[3])


def test_an_offset_that_the_server_refuses_ends_the_walk() -> None:
    """FAULTS P16: another strategy has to read what lies behind."""
    cover, cells = begun(list(range(20)), expected=None, lanes=1)
    answered(cover, list(range(18, 38)), cells[0])
    (further,) = cover.wanted(1)
    with pytest.raises(SeamBroken, match="refuses the page that begins with record 36"):
        cover.refused(further)


# ---------------------------------------------------------------- the end


def test_a_short_page_alone_is_not_the_end() -> None:
    """FAULTS P04, H03: more pages must say the same, from other places."""
    cover, cells = begun(list(range(20)), expected=None, lanes=1)
    answered(cover, list(range(18, 25)), cells[0])
    assert not cover.ended
    for _ in range(2):
        (probe,) = cover.wanted(1)
        answered(cover, list(range(25))[probe.start :], probe)
    assert cover.ended


def test_a_count_that_agrees_in_the_same_answer_saves_a_question_about_the_end() -> None:
    cover = Cover(AnyOffset(), 20, lanes=1, expected=25, may_count=True)
    (first,) = cover.wanted(1)
    answered(cover, list(range(20)), first)
    (last,) = cover.wanted(1)
    assert last.counted
    answered(cover, list(range(18, 25)), last, count=25)
    (probe,) = cover.wanted(1)
    answered(cover, list(range(25))[probe.start :], probe)
    assert cover.ended


def test_a_count_that_was_caught_lying_proves_nothing() -> None:
    """FAULTS P13: it says fewer than have come."""
    cover = Cover(AnyOffset(), 20, lanes=1, expected=10, may_count=True)
    (first,) = cover.wanted(1)
    answered(cover, list(range(20)), first, count=10)
    (second,) = cover.wanted(1)
    answered(cover, list(range(second.start, 25)), second, count=25)
    assert not cover.ended


def test_where_so_few_records_have_moved_nothing_behind_the_last_one_is_no_proof() -> None:
    """FAULTS P04, P09: two rows of three come, and the place behind them is empty, whenever a deletion came before."""
    cover = Cover(AnyOffset(), 50, lanes=1)
    rows = [30, 35]

    def read() -> None:
        moves = 0
        for _ in range(40):
            for cell in cover.wanted(1):
                moves += cell.kind is Kind.END and cell.start == 0
                now = rows[1:] if moves == 1 else rows  # once the last one is found elsewhere
                answered(cover, now[cell.start : cell.start + cell.size], cell)
                moves += moves == 1

    with pytest.raises(SeamBroken):
        read()
    assert not cover.ended


def test_an_empty_first_page_is_asked_for_twice() -> None:
    """One answer without records may be a fault (FAULTS H13)."""
    cover = Cover(AnyOffset(), 20)
    for _ in range(2):
        (cell,) = cover.wanted(1)
        answered(cover, [], cell)
    assert cover.ended
