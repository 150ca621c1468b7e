"""Tunes Python's cycle collector for pages of a thousand slices. For the command line only, like ``malloc``."""

from __future__ import annotations

import gc

_YOUNG = 50_000  # new containers before a young collection; a page makes some 4,000, none of them in a cycle


def tune_collector() -> None:
    """Leave what was imported out of every collection, and collect seldom: it was 4 % of a harvest's time."""
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 50)
