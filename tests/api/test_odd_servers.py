"""A few servers with oddities by chance; ``make odd-servers`` plays as many as wanted."""

from __future__ import annotations

import pytest

from tests.api.odd_servers import play, problem

SEEDS = (0, 1, 2, 4, 9, 11, 559)  # offsets, plain and hidden, page numbers, an order of time, no links, no way on


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_run_is_complete_only_with_every_row_that_lived_all_along(seed: int) -> None:
    """FAULTS P09, P13, P15, P16, and what comes of them together."""
    played = await play(seed)
    assert problem(played) == ""
    assert played.gone or "links-none" in played.words  # rows moved meanwhile
