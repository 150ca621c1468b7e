"""Synthetic rows: the same by seed, wide, awkward on purpose, and in two orders."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox.listings import listing_members, remarks
from harvester.sandbox.people import member_members, office_members
from harvester.sandbox.records import Row, Table, render, splice
from harvester.sandbox.settings import DATA_END, Settings
from harvester.sandbox.stamps import instant_at, instant_of, instants, stamp


def listing(rng: Random, index: int, key: str = "00012345") -> bytes:
    office = office_members(rng, 0, key="9", modified="2025-01-01T00:00:00Z")
    agent = member_members(rng, 0, key="7", modified="2025-01-01T00:00:00Z", office=office)
    return render(
        listing_members(
            rng, index, key=key, modified="2025-06-01T10:00:00.1234567Z", instant=0, agent=agent, office=office
        )
    )


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    def make(seed: int) -> list[bytes]:
        rng = Settings(seed=seed).rng("x", "Property")
        return [listing(rng, index) for index in range(20)]

    assert make(3) == make(3)
    assert make(3) != make(4)


def test_a_listing_is_wide_and_nested_and_its_key_stays_text() -> None:
    record = json.loads(listing(Random(1), 4), parse_float=Decimal)
    assert len(record) >= 120
    assert record["ListingKey"] == "00012345"
    assert record["ListingId"] == "0000005"
    assert len(record["SourceSystemKey"]) == 26
    assert isinstance(record["Media"], list)
    assert isinstance(record["Rooms"], list)
    assert str(record["ListPrice"]).partition(".")[2].__len__() == 2, "decimals keep both places"
    assert any(value is None for value in record.values())


def test_listings_hold_what_breaks_careless_readers() -> None:
    """FAULTS D02: U+2028 inside strings; accents, emoji, quotes and escapes in all spellings."""
    rng = Random(1)
    text = b"".join(listing(rng, index) for index in range(300)).decode()
    for needle in ("\u2028", "🌞", "é", "\\u00e9", "\\/", '\\"', "\\n", "日本庭園", ".00,"):
        assert needle in text, needle
    assert "\n" not in text
    assert all(json.loads(english) and json.loads(french) for english, french in remarks())


def test_a_row_is_changed_in_place_of_the_member() -> None:
    row = Row("1", b'{"A":1.10,"B":[{"A":2}]}')
    members = row.rendered()
    members["A"] = b"3.00"
    assert render(members) == b'{"A":3.00,"B":[{"A":2}]}'
    assert splice(row.body, "Name", b'"X"') == b'{"Name":"X","A":1.10,"B":[{"A":2}]}'
    assert splice(b"{}", "Name", b'"X"') == b'{"Name":"X"}'


@given(st.lists(st.tuples(st.text("abc", min_size=1, max_size=3), st.integers(0, 3), st.booleans()), max_size=60))
def test_a_table_keeps_both_orders_through_every_change(steps: list[tuple[str, int, bool]]) -> None:
    table = Table([Row("b", b"{}", instant=2), Row("a", b"{}", instant=2)])
    model = {"b": 2, "a": 2}
    for key, instant, remove in steps:
        version = table.version
        if remove and key in model:
            assert table.remove(key).instant == model.pop(key)
        else:
            table.put(Row(key, b"{}", instant=instant))
            model[key] = instant
        assert table.version > version
    assert [row.key for row in table.by_key] == sorted(model)
    assert [(row.instant, row.key) for row in table.by_time] == sorted((model[key], key) for key in model)
    assert len(table) == len(model)
    for key in model:
        found = table.get(key)
        assert found is not None
        assert table.by_key[table.key_position(key)] is found
        assert table.by_time[table.time_position(found.instant, key)] is found


def test_two_rows_of_one_key_are_refused() -> None:
    with pytest.raises(ValueError, match="same key"):
        Table([Row("a", b"{}"), Row("a", b"{}")])


def test_an_iteration_does_not_see_later_changes() -> None:
    table = Table(Row(f"{number}", b"{}") for number in range(5))
    seen = []
    for row in table:
        if row.key == "1":
            table.remove("3")
            table.put(Row("2x", b"{}"))
            table.put(Row("0x", b"{}"))
        seen.append(row.key)
    assert seen == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-01-20T15:30:00", "2024-01-20T15:30:00.0000000Z"),
        ("2024-01-20T15:30:00.1234567Z", "2024-01-20T15:30:00.123456700Z"),
        ("2024-01-20T15:30:00+02:00", "2024-01-20T13:30:00z"),
        ("2024-01-20 15:30:00", "2024-01-20T10:00-05:30"),
        ("2024-01-20", "2024-01-20T00:00:00Z"),
    ],
)
def test_timestamps_are_compared_by_value(text: str, same: str) -> None:
    assert instant_of(text) is not None
    assert instant_of(text) == instant_of(same)


@pytest.mark.parametrize("text", ["", "2024-13-01", "0012", "2024-01-20T", "yesterday", "2024-01-20T15:30:00.Z"])
def test_what_is_no_timestamp_has_no_instant(text: str) -> None:
    assert instant_of(text) is None


@given(st.integers(0, 4_000_000_000_000_000_000), st.integers(0, 9))
def test_a_spelled_instant_is_cut_never_rounded(instant: int, digits: int) -> None:
    """FAULTS T03."""
    unit = 10 ** (9 - digits)
    assert instant_of(stamp(instant, digits)) == instant // unit * unit


def test_generated_times_have_ties_and_end_where_the_data_ends() -> None:
    """FAULTS T01: many rows share an instant."""
    found = instants(Random(1), 5000, DATA_END)
    assert max(found) <= instant_at(DATA_END)
    largest = max(found.count(each) for each in set(found))
    assert 100 < largest < 500
    assert len(set(found)) < 4600
    assert any(each % 1000 for each in found), "seven digits of fraction"


def test_settings_refuse_what_makes_no_sense() -> None:
    for wrong in ({"records": 0}, {"time_scale": 0.0}, {"mutate": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Settings(**wrong)
