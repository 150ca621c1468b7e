"""Why nothing here reads a window of time by offset, however closed it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harvester.model import PageRequest
from harvester.pagers.odata import with_query
from tests.fakes.odata_table import OdataTable, Row

BEFORE, NOW = "2025-06-{:02d}T00:00:00Z", "2026-01-01T00:00:00Z"


@given(
    size=st.integers(1, 10),
    pages=st.integers(2, 4),
    data=st.data(),
)
def test_the_unchanged_row_at_the_boundary_is_lost_when_another_row_leaves_the_window(
    size: int, pages: int, data: st.DataObject
) -> None:
    """FAULTS P09. The row that changed is in the closing delta; the one that was shifted past the boundary is in
    nothing: neither in the pages, which end as if they had brought everything, nor among what changed."""
    number = size * pages
    rows: list[Row] = [
        {"ListingKey": f"{place:03d}", "ModificationTimestamp": BEFORE.format(1 + place % 28)}
        for place in range(number)
    ]
    rows.sort(key=lambda row: (str(row["ModificationTimestamp"]), str(row["ListingKey"])))
    table = OdataTable(rows)
    boundary = data.draw(st.integers(1, pages - 1), label="pages read before the change") * size
    leaver = data.draw(st.integers(0, boundary - 1), label="row that changes")
    shifted = str(rows[boundary]["ListingKey"])
    got: list[str] = []
    for start in range(0, number + size, size):
        if start == boundary:
            rows[leaver]["ModificationTimestamp"] = NOW
        got += window(table, start, size)
    changed = window(table, 0, number, since=NOW, until="2027-01-01T00:00:00Z")
    assert set(changed) == {str(row["ListingKey"]) for row in rows if row["ModificationTimestamp"] == NOW}
    assert shifted not in got
    assert shifted not in changed


def window(
    table: OdataTable, skip: int, top: int, *, since: str = "2025-01-01T00:00:00Z", until: str = NOW
) -> list[str]:
    """Keys of one offset page inside a closed window, in its stable order."""
    url = with_query(
        "Property",
        (
            ("$filter", f"ModificationTimestamp ge {since} and ModificationTimestamp lt {until}"),
            ("$orderby", "ModificationTimestamp,ListingKey"),
            ("$top", str(top)),
            ("$skip", str(skip)),
        ),
    )
    page = table.answer(PageRequest(url=url))
    return [bytes(record).decode().split('"ListingKey": "')[1][:3] for record in page.records]
