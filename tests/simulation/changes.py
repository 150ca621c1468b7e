"""Rows that change while they are read: up to the closing delta, for what changes later is for the next run."""

from __future__ import annotations

from harvester.events import Event, PageFetched
from tests.simulation.world import World

# The resource that changes, behind those it needs. One, because siblings do not close at the same time.
_RESOURCES = {
    "centris": ["Property"],
    "ims": ["Database", "Property"],
    "spark": ["listings"],
    "spark_reso": ["Property"],
}


class Changes:
    """A sink: some rows change with every page of a walk that a closing delta will follow."""

    def __init__(self, world: World, provider: str, *, share: float = 0.5) -> None:
        """*share*: of the worlds in which anything changes at all, where the provider can be asked what did."""
        self._world, self._provider = world, provider
        self.any = provider in _RESOURCES and world.data.random() < share
        self.resources = _RESOURCES[provider] if self.any else []  # to harvest; []: all

    def __call__(self, event: Event) -> None:
        if self.any and isinstance(event, PageFetched) and event.walk.startswith("w"):
            self._world.sandbox.mutate(self._world.data.randint(0, 3), self._provider)
