"""The providers there are, for showing."""

from __future__ import annotations

from harvester import providers as rooms
from harvester.provider import Provider


def providers() -> tuple[Provider, ...]:
    """Every built-in provider's declaration, sorted by name."""
    return tuple(rooms.load(name) for name in rooms.names())
