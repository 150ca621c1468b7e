"""Where a walk stands: what its pages tell of the provider's clock."""

from __future__ import annotations

import pytest

from harvester.engine.position import second_after


@pytest.mark.parametrize(
    ("anchor", "end"),
    [
        ("2026-03-01T23:59:59Z", "2026-03-02T00:00:00Z"),
        ("2026-03-01T12:00:00", "2026-03-01T12:00:00"),  # the data told it (IMS): it is the time of a record
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"),
        (None, None),
    ],
)
def test_a_second_that_a_clock_tells_counts_to_its_end(anchor: str | None, end: str | None) -> None:
    """FAULTS T06: what changed within it may have changed before the clock was read."""
    assert second_after(anchor) == end
