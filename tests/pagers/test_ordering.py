"""Order values: instants compare exactly, text only by a loose equality."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.pagers.ordering import Kind, descends, same, sortable


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("2024-01-01T00:00:00Z", "2024-01-01T00:00:00.000Z"),
        ("2024-01-01T00:00:00", "2024-01-01T00:00:00z"),
        ("2024-01-01T05:00:00+05:00", "2024-01-01T00:00:00Z"),
        ("2023-12-31T19:00:00-0500", "2024-01-01T00:00:00Z"),
        ("2024-01-01T00:00:00.1234567Z", "2024-01-01T00:00:00.12345670+00:00"),
    ],
)
def test_one_instant_in_two_spellings_is_one_value(left: str, right: str) -> None:
    """FAULTS T04."""
    assert same(Kind.TIME, left, right)


def test_seven_digits_are_not_rounded() -> None:
    """FAULTS T03."""
    assert not same(Kind.TIME, "2024-01-01T00:00:00.1234567Z", "2024-01-01T00:00:00.123457Z")
    assert descends(Kind.TIME, ["2024-01-01T00:00:00.123457Z", "2024-01-01T00:00:00.1234567Z"])
    assert not descends(Kind.TIME, ["2024-01-01T00:00:00.1234567Z", "2024-01-01T00:00:00.123457Z"])


@pytest.mark.parametrize("text", ["", "yesterday", "2024-01-01", "٢٠٢٤-01-01T00:00:00Z", "0001-01-01T00:00:00+23:00"])
def test_what_cannot_be_read_says_nothing_about_the_order(text: str) -> None:
    """FAULTS T04."""
    assert sortable(text) is None
    assert not descends(Kind.TIME, ["2024-01-01T00:00:00Z", text, "2024-01-01T00:00:01Z"])


def test_offsets_of_one_form_are_not_compared_as_text() -> None:
    """FAULTS T07: the hour that comes twice, in two offsets."""
    assert not descends(Kind.TIME, ["2024-11-03T01:30:00-04:00", "2024-11-03T01:10:00-05:00"])
    assert descends(Kind.TIME, ["2024-11-03T01:10:00-05:00", "2024-11-03T01:30:00-04:00"])


@given(st.lists(st.text(max_size=5), max_size=5, unique_by=len))
def test_text_of_different_lengths_never_counts_as_out_of_order(values: list[str]) -> None:
    """The collation of the server is not known."""
    assert not descends(Kind.TEXT, values)


def test_text_counts_as_out_of_order_where_every_collation_says_so() -> None:
    assert descends(Kind.TEXT, ["B00", "A00"])


def test_text_is_equal_without_case_accents_and_trailing_blanks() -> None:
    assert same(Kind.TEXT, "CAFÉ ", "cafe")
    assert not same(Kind.TEXT, "cafe", "caffe")


def test_numbers_compare_by_value_beyond_any_width() -> None:
    assert not descends(Kind.NUMBER, ["9", "10", "99999999999999999999999999"])
    assert descends(Kind.NUMBER, ["10", "9"])
