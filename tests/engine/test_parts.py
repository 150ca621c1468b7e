"""The parts of a walk: whole at every instant, however the server sorts bounds and wherever a process dies."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from harvester.engine.parts import ending_at, gap, lower, mend, part_id, root_of, upper, whole
from harvester.model import Phase, Resource, Walk

PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")
ROOT = Walk(id="w00", resource=PROPERTY, pager="windows")
ANCHOR = "0100"


def holds(walk: Walk, value: int) -> bool:
    low, high = lower(walk), upper(walk)
    return not walk.undated and (low is None or value >= int(low)) and (high is None or value < int(high))


def readers(walks: Sequence[Walk], value: int) -> int:
    return sum(holds(walk, value) for walk in walks)


class Log:
    """What is durable: the walks as their last commits say, one step after the other."""

    def __init__(self, *, by_time: bool) -> None:
        self.by_time = by_time
        self.walks: dict[str, Walk] = {ROOT.id: ROOT}

    def cut(self, name: str, places: Sequence[int], end: str | None, steps: int) -> bool:
        """Cut a walk as the engine does, but die after *steps* durable steps. False: it died."""
        walk = self.walks[name]
        bounds = [f"{place:04d}" for place in places]
        ends = [*bounds[1:], upper(walk) if upper(walk) is not None else end]
        parts: list[Walk] = []
        for low, high in zip(bounds, ends, strict=True):
            made = replace(walk, id=part_id(ROOT.id, [*self.walks, *(part.id for part in parts)]), part_of=name)
            changes = {"since": low, "until": high} if self.by_time else {"above": low, "below": high}
            parts.append(replace(made, **changes))
        if self.by_time and not any(each.undated for each in self.walks.values()):
            name_of_it = part_id(ROOT.id, [*self.walks, *(part.id for part in parts)])
            parts.append(replace(ROOT, id=name_of_it, part_of=name, undated=True))
        for part in reversed(parts):
            if not steps:
                return False
            steps -= 1
            self.walks[part.id] = part
        if not steps:
            return False
        self.walks[name] = ending_at(walk, bounds[0], by_time=self.by_time)
        return True


@given(seed=st.integers(0, 10**6), by_time=st.booleans(), anchored=st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_is_cut_and_wherever_it_dies_every_record_has_one_walk(
    seed: int, by_time: bool, anchored: bool
) -> None:
    chance = Random(seed)
    log = Log(by_time=by_time)
    end = ANCHOR if by_time and anchored else None
    for _ in range(chance.randint(1, 12)):
        dated = [walk for walk in log.walks.values() if not walk.undated]
        walk = chance.choice(dated)
        low = int(lower(walk) or "0000")
        high = int(upper(walk) or ANCHOR)
        free = range(low + 1, high)
        if not free:
            continue
        places = sorted(chance.sample(free, min(len(free), chance.randint(1, 4))))
        survived = log.cut(walk.id, places, end, chance.choice((0, 1, 2, 3, 99, 99, 99)))
        walks = list(log.walks.values())
        assert all(readers(walks, value) >= 1 for value in range(100)), "a record has nobody"
        if not survived:
            chance.shuffle(walks)
            log.walks = {each.id: each for each in mend(walks)}
            assert all(readers(list(log.walks.values()), value) == 1 for value in range(100))
    walks = list(log.walks.values())
    assert mend(walks) == tuple(walks), "what is whole is left alone"
    assert gap(walks, {end} if end is not None else ()) == ""


@given(places=st.lists(st.integers(0, 99), min_size=1, max_size=6), order=st.randoms(use_true_random=False))
def test_bounds_in_the_wrong_order_read_some_records_twice_and_none_never(places: list[int], order: Random) -> None:
    """The order of text is the server's: what sorts between two bounds here may not do so there."""
    rank = list(range(100))
    order.shuffle(rank)
    low: str | None = None
    parts = []
    for place in places:
        parts.append(replace(ROOT, above=low, below=f"{rank[place]:04d}"))
        low = f"{rank[place]:04d}"
    parts.append(replace(ROOT, above=low))
    assert all(readers(parts, value) >= 1 for value in range(100))


def parts_of(*bounds: tuple[str | None, str | None], undated: bool = True) -> list[Walk]:
    made = [
        replace(ROOT, id=f"w00-{number}" if number else "w00", part_of="w00" if number else "", since=low, until=high)
        for number, (low, high) in enumerate(bounds)
    ]
    return [*made, replace(ROOT, id="w00-99", part_of="w00", undated=True)] if undated else made


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        (((None, "a"), ("b", None)), "from a on"),
        (((None, "a"), ("a", "b"), ("b", "c")), "from c on"),
        ((("a", "b"), ("b", None)), "the first ones"),
        (((None, "a"), ("a", None), ("a", "b")), "begin at the same place"),
        (((None, "b"), ("a", "b"), ("b", None)), "two walks have read the records from a on"),
    ],
)
def test_a_gap_and_an_overlap_are_named(bounds: tuple[tuple[str | None, str | None], ...], told: str) -> None:
    assert told in gap(parts_of(*bounds), ())


def test_windows_without_the_rows_that_have_no_time_are_not_the_whole() -> None:
    """FAULTS T04: no window holds a null."""
    assert gap(parts_of((None, "a"), ("a", None)), ()) == ""
    assert "without a modification time" in gap(parts_of((None, "a"), ("a", None), undated=False), ())


def test_ranges_of_keys_hold_every_row() -> None:
    keys = [replace(ROOT, below="k"), replace(ROOT, id="w00-1", part_of="w00", above="k")]
    assert gap(keys, ()) == ""


def test_the_last_window_may_end_where_the_closing_delta_takes_over_and_nowhere_else() -> None:
    closed = parts_of((None, "a"), ("a", "z"))
    assert gap(closed, {"y", "z"}) == ""
    assert "from z on" in gap(closed, {"y"})


def test_an_uncut_walk_is_the_whole() -> None:
    assert gap([ROOT], ()) == ""


def test_the_whole_of_a_part_has_no_bounds() -> None:
    assert whole(parts_of((None, "a"))[0]) == ROOT
    assert root_of("w03-12") == root_of("w03") == "w03"


def test_windows_of_a_delta_are_whole_only_without_an_end() -> None:
    """A closing delta follows full walks alone: nothing would bring what changes behind the last window of a delta."""
    first = replace(ROOT, id="n00", phase=Phase.DELTA, since="0010", until="0050")
    last = replace(first, id="n00-1", part_of="n00", since="0050", until=None)
    assert not gap([first, last], {ANCHOR})
    assert gap([first, replace(last, until=ANCHOR)], {ANCHOR}) == f"no walk has read the records from {ANCHOR} on"
    assert gap([first, replace(last, since="0060")], {ANCHOR}) == "no walk has read the records from 0050 on"
    assert gap([replace(first, until=ANCHOR)], {ANCHOR})
