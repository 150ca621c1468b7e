"""Deltas of every provider while its rows change: see ``plays.deltas``. ``make simulate`` plays more seeds."""

from __future__ import annotations

import pytest

from tests.simulation.plays import deltas
from tests.simulation.world import PROVIDERS, simulate


@pytest.mark.parametrize("seed", range(1, len(PROVIDERS)))
def test_after_the_last_change_two_deltas_leave_no_row_missing(seed: int) -> None:
    """FAULTS T01 to T03, T05, T06, T09, T12, C02; the first provider is played with all other scenarios."""
    simulate("deltas", seed, deltas.play)
