"""OData options over a table: what is selected, in which order, and at what cost."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.sandbox.odata import Collection, parse_orderby, parse_select, project, whole_number
from harvester.sandbox.odata_expand import Expand, parse_expand
from harvester.sandbox.odata_filter import QueryError, parse_filter, predicate
from harvester.sandbox.records import Row, Table, members, render
from harvester.sandbox.stamps import instant_of

FIELDS = frozenset(("Key", "Stamp", "Status", "Price", "Pool"))


def row(key: str, stamp: str, **values: object) -> Row:
    body = render(members({"Key": key, "Stamp": stamp, **values}))
    return Row(key, body, modified=stamp, instant=instant_of(stamp) or 0)


ROWS = [
    row("0012", "2024-01-02T00:00:00Z", Status="Active", Price=b"100.00", Pool=None),
    row("O'B", "2024-01-02T00:00:00.0000000Z", Status="Closed", Price=b"99.5", Pool=True),
    row("a", "2024-01-01T23:59:59.9999999Z", Status="Active", Price=b"100", Pool=False),
    row("b", "2024-01-03T00:00:00.1234567Z", Status=None, Price=None, Pool=None),
]


def collection(rows: list[Row] = ROWS, **options: object) -> Collection:
    return Collection(Table(rows), key=("Key",), modified="Stamp", fields=FIELDS, **options)  # type: ignore[arg-type]


def keys(text: str, orderby: str = "") -> list[str]:
    found = collection().find(parse_filter(text) if text else None, parse_orderby(orderby) if orderby else ())
    return [each.key for each in found.page()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Key eq '0012'", ["0012"]),
        ("Key eq 'O''B'", ["O'B"]),
        ("Key gt '0012' and Key le 'a'", ["O'B", "a"]),
        ("Stamp eq 2024-01-02T00:00:00.000Z", ["0012", "O'B"]),
        ("Stamp gt 2024-01-01T23:59:59.9999999Z", ["0012", "O'B", "b"]),
        ("Stamp ge 2024-01-02T02:00:00+02:00 and Stamp lt 2024-01-03", ["0012", "O'B"]),
        ("Stamp gt 2024-01-03T00:00:00.123456Z", ["b"]),
        ("Stamp gt 2024-01-03T00:00:00.123457Z", []),
        ("Price eq 100", ["0012", "a"]),
        ("Price ge 99.50 and Price lt 100.0", ["O'B"]),
        ("Price eq null", ["b"]),
        ("Price ne null", ["0012", "O'B", "a"]),
        ("Status ne 'Active'", ["O'B", "b"]),
        ("not (Status eq 'Active')", ["O'B", "b"]),
        ("Status in ('Closed', 'Other')", ["O'B"]),
        ("Pool eq true", ["O'B"]),
        ("Status eq 'Active' and Price gt 1 or Key eq 'b'", ["0012", "a", "b"]),
        ("Status eq 'Active' and (Price gt 1 or Key eq 'b')", ["0012", "a"]),
        ("'a' lt Key", ["b"]),
        ("Price eq 'x'", []),
        ("(Stamp gt 2024-01-02T00:00:00Z) or (Stamp eq 2024-01-02T00:00:00Z and Key gt '0012')", ["O'B", "b"]),
    ],
)
def test_filters_select_by_value(text: str, expected: list[str]) -> None:
    """FAULTS T03, T04: fractions and zones are compared by value, not by text."""
    assert keys(text) == expected
    meets = predicate(parse_filter(text), modified="Stamp")
    assert [each.key for each in ROWS if meets(each)] == expected, "row by row it is the same"


@pytest.mark.parametrize(
    "text", ["", "Key", "Key eq", "Key eq 'a", "Key eq 'a' and", "Key is 'a'", "contains(Key,'a')"]
)
def test_unreadable_filters_are_refused(text: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse_filter(text)
    assert caught.value.problem == "syntax"


def test_orders_are_total_or_as_stable_as_the_key() -> None:
    assert keys("", "Key desc") == ["b", "a", "O'B", "0012"]
    assert keys("", "Stamp,Key") == ["a", "0012", "O'B", "b"]
    assert keys("", "Stamp desc,Key desc") == ["b", "O'B", "0012", "a"]
    assert keys("", "Stamp desc,Key asc") == ["b", "0012", "O'B", "a"]
    assert keys("", "Price desc") == ["0012", "a", "O'B", "b"], "null is lowest, ties by key"
    assert keys("Status eq 'Active'", "Stamp") == ["a", "0012"]


def test_pages_are_cut_from_either_end() -> None:
    found = collection().find(None, parse_orderby("Stamp desc"))
    assert [each.key for each in found.page(0, 1)] == ["b"]
    assert [each.key for each in found.page(1, 2)] == ["O'B", "0012"]
    assert [each.key for each in found.page(3, 5)] == ["a"]
    assert found.page(4, 5) == []
    assert found.page(40, 5) == []
    assert [each.key for each in collection().find(None).page(3)] == ["b"]


def test_a_scan_is_repeated_after_a_change() -> None:
    source = collection()
    active = parse_filter("Status eq 'Active'")
    assert len(source.find(active)) == 2
    source.table.put(row("c", "2024-01-04T00:00:00Z", Status="Active"))
    assert [each.key for each in source.find(active).page()] == ["0012", "a", "c"]


def test_fields_are_refused_by_name_and_by_use() -> None:
    source = collection(filterable=frozenset({"Stamp"}), sortable=frozenset({"Stamp", "Key"}))
    with pytest.raises(QueryError) as caught:
        source.find(parse_filter("Stamp gt 2024-01-01 and Price gt 1"))
    assert (caught.value.problem, caught.value.field) == ("forbidden", "Price")
    with pytest.raises(QueryError) as caught:
        source.find(parse_filter("Stamp gt 2024-01-01 or Nope eq 1"))
    assert (caught.value.problem, caught.value.field) == ("unknown", "Nope")
    with pytest.raises(QueryError) as caught:
        source.find(None, parse_orderby("Status"))
    assert (caught.value.problem, caught.value.field) == ("forbidden", "Status")
    with pytest.raises(QueryError) as caught:
        source.check_select(("Key", "Nope"))
    assert caught.value.field == "Nope"


@pytest.mark.parametrize(("times", "right", "wrong"), [("quoted", "'{}'", "{}"), ("bare", "{}", "'{}'")])
def test_timestamps_must_be_written_as_the_provider_wants_them(times: str, right: str, wrong: str) -> None:
    source, text = collection(times=times), "2024-01-02T00:00:00"
    assert len(source.find(parse_filter("Stamp ge " + right.format(text)))) == 3
    with pytest.raises(QueryError):
        source.find(parse_filter("Stamp ge " + wrong.format(text)))


@pytest.mark.parametrize("text", ["", "Key,", "Key up", "Key asc desc"])
def test_unreadable_orders_are_refused(text: str) -> None:
    with pytest.raises(QueryError):
        parse_orderby(text)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "٣", "1_000", " 1"])
def test_counts_are_ascii_digits(text: str) -> None:
    with pytest.raises(QueryError):
        whole_number("$top", text)


def test_a_projection_keeps_the_bytes_of_its_values() -> None:
    assert project(ROWS[0], parse_select("Price,Key,Key,Missing")) == b'{"Key":"0012","Price":100.00}'
    with pytest.raises(QueryError):
        parse_select("Key,,Price")


def test_expansions_nest_with_and_without_dollars() -> None:
    found = parse_expand("Translations,ListAgent($select=A,B;expand=Translations),Media($top=1)")
    assert found == (
        Expand("Translations"),
        Expand("ListAgent", select=("A", "B"), expand=(Expand("Translations"),)),
        Expand("Media", top="1"),
    )
    for wrong in ("", "A(", "A)", "A(select=)", "A(filter=1)", "A B", "A(expand=B))"):
        with pytest.raises(QueryError):
            parse_expand(wrong)


STAMPS = [f"2024-01-0{day}T00:00:00{fraction}Z" for day in (1, 2) for fraction in ("", ".5", ".1234567")]
PARTS = st.one_of(
    st.tuples(st.just("Stamp"), st.sampled_from(("eq", "ne", "gt", "ge", "lt", "le")), st.sampled_from(STAMPS)),
    st.tuples(
        st.just("Key"),
        st.sampled_from(("eq", "ne", "gt", "ge", "lt", "le")),
        st.integers(0, 12).map(lambda n: f"'{n:02d}'"),
    ),
    st.tuples(st.just("Price"), st.sampled_from(("eq", "gt", "lt")), st.integers(0, 3).map(str)),
).map(" ".join)
FILTERS = st.recursive(
    PARTS,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from((" and ", " or ")), inner).map(lambda each: f"({each[0]}{each[1]}{each[2]})"),
        inner.map(lambda each: f"not ({each})"),
    ),
    max_leaves=6,
)


@given(
    FILTERS,
    st.sampled_from(("Key", "Key desc", "Stamp", "Stamp,Key", "Stamp desc,Key desc", "Price,Key", "Stamp desc,Key")),
    st.integers(0, 8),
    st.integers(0, 8),
)
def test_binary_search_and_scan_select_the_same(text: str, orderby: str, skip: int, top: int) -> None:
    rng = Random(7)
    rows = [row(f"{n:02d}", rng.choice(STAMPS), Price=rng.randrange(3)) for n in range(12)]
    condition = parse_filter(text)
    meets = predicate(condition)  # without the shortcut for the modification time
    expected = [each for each in rows if meets(each)]
    for term in reversed(parse_orderby(orderby)):
        expected.sort(
            key=lambda each, name=term.field: {  # type: ignore[misc]
                "Key": each.key,
                "Stamp": each.instant,
                "Price": json.loads(each.body, parse_float=Decimal)["Price"],
            }[name],
            reverse=term.descending,
        )
    found = collection(rows).find(condition, parse_orderby(orderby))
    assert len(found) == len(expected)
    if orderby == "Stamp":  # ties stand in the order of the table
        expected.sort(key=lambda each: (each.instant, each.key))
    assert found.page(skip, top) == expected[skip : skip + top]


def test_pages_of_a_large_table_decode_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = Random(1)
    rows = [row(f"{n:05d}", rng.choice(STAMPS)) for n in range(20_000)]
    source = collection(rows)
    monkeypatch.setattr(Row, "members", lambda _: pytest.fail("a row was decoded"))
    tie = STAMPS[1]
    for text in (
        f"Stamp ge {tie}",
        "Key gt '01234' and Key lt '19000'",
        f"(Stamp gt {tie}) or (Stamp eq {tie} and Key gt '10000')",
        f"Stamp ge {tie} and Stamp lt {STAMPS[3]}",
    ):
        order = "Key" if text.startswith("Key") else "Stamp,Key"
        found = source.find(parse_filter(text), parse_orderby(order))
        assert len(found.page(1000, 1000)) == 1000
    assert not source._scanned, "the table's own lists were enough"
