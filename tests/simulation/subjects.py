"""Which provider is replicated in a play of replicas, and which of its resources."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from harvester.api.catalogue import providers
from harvester.config.schema import Config
from tests.simulation.world import World


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One simulated provider."""

    provider: str
    simulator: str = ""  # "": named like the provider
    source: str = ""  # in the sandbox's configuration; "": named like the simulator
    resources: tuple[str, ...]
    options: Mapping[str, object] = field(default_factory=dict)  # of the simulator
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the source
    overlap: float = 300.0  # seconds by which a change may come late and be in a delta, as the contract states
    stamped: bool = True  # False: sweeps compare whole records anyway

    @property
    def served(self) -> str:
        """The simulator's name."""
        return self.simulator or self.provider

    def config(self, world: World) -> Config:
        """Small pages, where their size can be asked for."""
        changes = dict(self.settings)
        if self.provider != "idx_broker":
            changes["page_size"] = world.data.choice((7, 20, 50))
        return world.config(self.source or self.served, **changes)

    def key(self, resource: str, line: bytes) -> tuple[str, ...]:
        """Identity of a record, the parent's value in front."""
        row = json.loads(line)
        return tuple(str(row[member]) for member in _identity(self.provider, resource))


@cache
def _identity(provider: str, resource: str) -> tuple[str, ...]:
    """Members that tell the records of a resource apart, as the client knows it."""
    declared = next(each for each in providers() if each.name == provider)
    named = next((each for each in declared.resources if each.name == resource), None)
    known = named or declared.describe(resource)
    scope = (known.per_value.stamp,) if known.per_value is not None else ()
    return (*scope, *known.key)


SUBJECTS = (
    Subject(provider="ims", resources=("Database", "Property")),
    Subject(provider="centris", resources=("Property",)),
    Subject(provider="spark", resources=("listings",), overlap=1_200.0),
    Subject(provider="spark_reso", resources=("Property",), overlap=1_200.0),
    Subject(
        provider="odata",
        simulator="odata_server",
        source="odata-plain",
        resources=("Property",),
        options={"servers": ("plain",)},
    ),
    Subject(
        provider="idx_broker",
        resources=("clients/featured", "clients/soldpending", "clients/supplemental"),
        overlap=3_600.0,
        stamped=False,
    ),
)
"""Every provider."""

LEADS = Subject(
    provider="idx_broker",
    resources=("leads/lead",),
    overlap=3_600.0,
    options={"lead_days": 5.0},
    settings={"lead_horizon": 30 * 86_400.0, "resources": ("leads/lead",)},  # else others take their values from it
    stamped=False,
)
"""IDX Broker's leads: a deleted one is not told from one that is older than the horizon, and stays."""
