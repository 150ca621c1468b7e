"""Records held against their declared type: every kind of drift is told, and nothing else is (FAULTS D11)."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.data_model import DeclaredField, DeclaredType, FieldFinding, Navigation
from harvester.decode import profile
from harvester.decode.profile import Lists, Profile

PHOTO = DeclaredType(name="S.Photo", fields=(DeclaredField(name="Order", type="Edm.Int32"),))
ADDRESS = DeclaredType(name="S.Address", fields=(DeclaredField(name="City", type="Edm.String"),))
LISTS = Lists(
    types={each.name: each for each in (PHOTO, ADDRESS)},
    values={"Pets": {"Cats": "", "b__RG9ncw--": "Dogs"}},
)


def declared(*fields: DeclaredField, open_: bool = False) -> DeclaredType:
    photos = Navigation(name="Photos", type="S.Photo", many=True)
    return DeclaredType(name="S.Listing", fields=fields, navigation=(photos,), open=open_)


def field(name: str, kind: str = "Edm.String", **more: object) -> DeclaredField:
    return DeclaredField(name=name, type=kind, **more)  # type: ignore[arg-type]


def looked_at(kind: DeclaredType, records: Iterable[object], *, asked: tuple[str, ...] = ()) -> dict[str, FieldFinding]:
    taken = Profile(kind, LISTS, asked=asked)
    for record in records:
        taken.take(record if isinstance(record, bytes) else json.dumps(record).encode())
    return {each.name: each for each in taken.findings()}


# ------------------------------------------------------------------ values and their types


@pytest.mark.parametrize(
    ("kind", "fits", "others"),
    [
        ("Edm.String", ['"x"', '""', '"2026-01-01"'], ["1", "true", "[]", "{}"]),
        ("Edm.Boolean", ["true", "false"], ['"true"', "1"]),
        ("Edm.Int64", ["0", "-7", "9223372036854775807"], ["1.0", '"7"', "1e3"]),
        ("Edm.Decimal", ["123412.00", "-0.5", "1e3", "7", '"INF"'], ['"7"', "true"]),
        ("Edm.Double", ["1.5", '"NaN"'], ['"x"']),
        ("Edm.Date", ['"2026-03-01"'], ['"03/01/2026"', '"2026-03-01T00:00:00Z"', "20260301"]),
        (
            "Edm.DateTimeOffset",
            ['"2026-03-01T12:00:00Z"', '"2026-03-01T12:00:00.1234567Z"', '"2026-03-01T12:00:00+05:30"'],
            ['"2026-03-01T12:00:00"', '"2026-03-01"', "1709290800"],
        ),
        ("Edm.TimeOfDay", ['"09:00"', '"09:00:00.5"'], ['"9:00 am"']),
        ("Edm.Guid", ['"01234567-89ab-cdef-0123-456789abcdef"'], ['"0123"']),
        ("Edm.Untyped", ["1", '"x"', "[]", "{}", "true"], []),
        ("Edm.GeographyPoint", ['{"type":"Point","coordinates":[1,2]}'], ['"POINT(1 2)"']),
        ("S.Address", ['{"City":"Oka"}'], ['"Oka"', "[]"]),
    ],
)
def test_a_value_fits_its_declared_type_or_is_told(kind: str, fits: list[str], others: list[str]) -> None:
    for value in fits:
        found = looked_at(declared(field("F", kind)), [b'{"F":%b}' % value.encode()])["F"]
        assert (found.drift, found.kinds) == ((), {}), value
    for value in others:
        found = looked_at(declared(field("F", kind)), [b'{"F":%b}' % value.encode()])["F"]
        assert found.drift == ("retyped",), value
        assert found.example == value


def test_every_item_of_a_list_counts() -> None:
    kind = declared(field("F", "Edm.Int32", many=True))
    assert looked_at(kind, [{"F": [1, 2, None]}, {"F": []}])["F"].drift == ()
    assert looked_at(kind, [{"F": [1, "2"]}])["F"].drift == ("retyped",)
    assert looked_at(kind, [{"F": 1}])["F"].kinds == {"number": 1}


# ------------------------------------------------------------------ members


def test_new_members_are_told_with_what_they_hold() -> None:
    found = looked_at(declared(field("A")), [{"A": "x", "B": 1}, {"A": "x", "B": "one"}])["B"]
    assert (found.drift, found.seen, found.kinds, found.type) == (("new",), 2, {"number": 1, "text": 1}, "")


def test_an_open_type_may_have_more_members_than_it_declares() -> None:
    assert looked_at(declared(field("A"), open_=True), [{"A": "x", "B": 1}])["B"].drift == ()


def test_control_information_and_our_own_stamps_are_no_members() -> None:
    record = {"A": "x", "@odata.id": "u", "Photos@odata.count": 3, "_masked": ["A"], "_key": "7"}
    assert set(looked_at(declared(field("A")), [record])) == {"A"}


def test_a_member_that_never_comes_is_missing_one_that_sometimes_does_is_not() -> None:
    found = looked_at(declared(field("A"), field("B")), [{"A": "x"}, {}])
    assert found["A"].drift == ()
    assert found["B"].drift == ("missing",)
    assert looked_at(declared(field("A")), [])["A"].drift == ()


def test_what_was_not_asked_for_is_not_missing() -> None:
    found = looked_at(declared(field("A"), field("B")), [{"A": "x"}], asked=("A",))
    assert found["B"].drift == ()


def test_the_fill_rate_counts_neither_null_nor_emptiness() -> None:
    records = [{"A": "x"}, {"A": None}, {"A": ""}, {}]
    found = looked_at(declared(field("A")), records)["A"]
    assert (found.seen, found.nulls, found.filled, found.fill_rate) == (3, 1, 1, 0.25)
    assert looked_at(declared(field("L", many=True)), [{"L": []}, {"L": ["x"]}])["L"].fill_rate == 0.5


def test_a_masked_value_is_of_no_type_and_fills_nothing() -> None:
    """Spark contract, section 9."""
    found = looked_at(declared(field("CloseDate", "Edm.Date")), [{"CloseDate": "********"}])["CloseDate"]
    assert (found.masked, found.filled, found.drift) == (1, 0, ())


def test_null_is_drift_only_where_it_is_ruled_out() -> None:
    assert looked_at(declared(field("A", nullable=False)), [{"A": None}])["A"].drift == ("null",)
    assert looked_at(declared(field("A")), [{"A": None}])["A"].drift == ()


def test_lengths_are_counted_in_characters() -> None:
    kind = declared(field("A", max_length=4))
    assert looked_at(kind, [b'{"A":"\\u00e9\\u00e9t\\u00e9"}'])["A"].drift == ()
    assert looked_at(kind, [{"A": "x" * 5}])["A"].drift == ("too_long",)


# ------------------------------------------------------------------ lists of values


def test_a_value_outside_its_list_is_told_with_its_number() -> None:
    kind = declared(field("Pets", lookup="Pets", many=True))
    found = looked_at(kind, [{"Pets": ["Cats", "Snake"]}, {"Pets": ["Snake", "Emu"]}])["Pets"]
    assert found.drift == ("outside_lookup",)
    assert [(each.value, each.records) for each in found.strange] == [("Snake", 2), ("Emu", 1)]


def test_encoded_values_their_readable_texts_and_several_in_one_text_are_inside() -> None:
    """Spark RESO contract, section 9: both must pass through."""
    kind = declared(field("Pets", lookup="Pets"))
    assert looked_at(kind, [{"Pets": "b__RG9ncw--"}, {"Pets": "Dogs"}, {"Pets": "Cats,Dogs"}])["Pets"].drift == ()


def test_a_list_whose_values_nobody_told_is_not_held_against_anything() -> None:
    assert looked_at(declared(field("A", lookup="Nowhere")), [{"A": "x"}])["A"].drift == ()


# ------------------------------------------------------------------ records in records


def test_expanded_records_are_held_against_their_own_type() -> None:
    found = looked_at(declared(), [{"Photos": [{"Order": 1}, {"Order": "2", "Size": 3}]}, {"Photos": None}])
    assert found["Photos"].drift == ()
    assert found["Photos.Order"].drift == ("retyped",)
    assert found["Photos.Size"].drift == ("new",)
    assert "Photos" not in looked_at(declared(), [{}])


def test_fields_of_an_expanded_record_are_never_missing_those_of_a_complex_value_are() -> None:
    assert looked_at(declared(), [{"Photos": [{}]}])["Photos.Order"].drift == ()
    found = looked_at(declared(field("Address", "S.Address")), [{"Address": {}}])
    assert found["Address.City"].drift == ("missing",)


# ------------------------------------------------------------------ bounds


def test_lines_that_are_no_object_are_counted_and_the_rest_is_looked_at() -> None:
    taken = Profile(declared(field("A")), LISTS)
    for line in (b"[]", b"{", b'{"A":"x"}', b"\xff", b"[" * 5_000):
        taken.take(line)
    assert (taken.records, taken.unreadable) == (1, 4)


def test_half_a_character_in_a_text_is_survived() -> None:
    kind = declared(field("Pets", lookup="Pets"), field("B", max_length=3))
    assert looked_at(kind, [b'{"Pets":"\\ud800","B":"\\ud800\\ud800"}'])["Pets"].drift == ()


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8)),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(st.sampled_from(["F0", "Order", "City", "Photos"]), below, max_size=3),
    ),
    max_leaves=12,
)
TYPES = st.sampled_from(
    ["Edm.String", "Edm.Int64", "Edm.Date", "Edm.Untyped", "Edm.Odd", "S.Photo", "S.Nowhere", "Pets"]
)
FIELDS = st.builds(
    lambda number, kind, many, lookup, longest: field(
        f"F{number}", kind, many=many, lookup=lookup, max_length=longest, nullable=False
    ),
    st.integers(0, 2),
    TYPES,
    st.booleans(),
    st.sampled_from(["", "Pets", "Nowhere"]),
    st.sampled_from([None, 0, 3]),
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(FIELDS, max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["F0", "F1", "F2", "Photos", "X"]), VALUES, max_size=5), max_size=5),
)
def test_any_record_can_be_held_against_any_type(fields: list[DeclaredField], records: list[object]) -> None:
    """Whatever is declared and whatever comes: nothing raises, and shares are shares."""
    for found in looked_at(declared(*fields), records).values():
        assert 0.0 <= found.fill_rate <= 1.0
        assert found.seen >= found.filled + found.masked + found.nulls


def test_memory_does_not_grow_with_names_or_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """5,000 new members a record, ever other ones; ever other values of a list."""
    monkeypatch.setattr(profile, "MAX_NAMES", 1_000)
    taken = Profile(declared(field("Pets", lookup="Pets")), LISTS)

    def take(first: int, last: int) -> None:
        for number in range(first, last):
            taken.take(json.dumps({f"F{number}_{each}": 1 for each in range(500)} | {"Pets": f"v{number}"}).encode())

    take(0, 20)
    tracemalloc.start()
    try:
        take(20, 220)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken.unnamed == 220 * 500 - 1_000
    assert grown < 200_000
    assert len(taken.findings()) == 1_001
