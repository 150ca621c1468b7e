"""What is kept free for a page."""

from __future__ import annotations

from harvester.governor.page_sizes import PageSizes


def sizes(*seen: int) -> PageSizes:
    made = PageSizes()
    for size in seen:
        made.saw(size)
    return made


def test_nothing_is_known_before_the_first_page() -> None:
    assert PageSizes().expected == 0


def test_the_largest_counts_however_many_small_ones_came_since() -> None:
    """FAULTS Q04: among them was a resource whose pages are small."""
    assert sizes(3200, *[100] * 255).expected >= 3200
    assert sizes(3200, *[100] * 400).expected >= 3200


def test_a_resource_that_has_ended_is_forgotten() -> None:
    assert sizes(3200, *[160] * 600).expected == 170


def test_sizes_that_differ_leave_room_for_a_larger_one() -> None:
    assert sizes(1600, 1600, 1600).expected == 1700
    assert sizes(800, 1600, 800).expected > 1800
