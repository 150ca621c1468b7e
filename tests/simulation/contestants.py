"""Who is harvested in a play of faults: a provider, one of its walks, the resources that meet the faults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from harvester.config.schema import Config
from tests.simulation.world import World


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to harvest one simulated provider."""

    name: str
    simulator: str
    source: str = ""  # in the sandbox's configuration; "": named like the simulator
    resources: tuple[str, ...]  # the first one meets the faults
    walk: str | None = None
    sized: bool = True  # whether a page size can be asked for
    links: bool = False  # whether it follows links of the server
    counted: bool = True  # whether the provider says how many there are
    dated: bool = True  # whether its rows have a modification time
    page: int = 3  # of the resource, at which a fault happens once: not one of the questions before its first page
    prove: bool = False  # with a sweep of all keys behind it
    records: int = 90
    changes: int = 0  # changes behind a full harvest that meets no fault: the delta that brings them does. 0: no delta
    options: Mapping[str, Any] = field(default_factory=dict)  # of the simulator

    @property
    def path(self) -> str:
        """The resource that meets the faults."""
        return self.resources[0]

    def config(self, world: World) -> Config:
        """Small pages, so that there are several."""
        changes: dict[str, Any] = {}
        if self.sized:
            changes["page_size"] = world.data.choice((7, 12, 20))
        if self.walk is not None:
            changes["walk"] = self.walk
        return world.config(self.source or self.simulator, **changes)


_SERVER = {"odata_server": {"servers": ("plain",)}}

CONTESTANTS = (
    Contestant(name="centris", simulator="centris", resources=("Property", "Office")),
    Contestant(name="ims", simulator="ims", resources=("Property", "Database", "Office"), counted=False, records=150),
    Contestant(name="spark", simulator="spark", resources=("listings", "accounts"), links=True),
    Contestant(name="spark_reso", simulator="spark_reso", resources=("Property", "Office"), links=True),
    Contestant(
        name="odata",
        simulator="odata_server",
        source="odata-plain",
        resources=("Property", "Office"),
        links=True,
        options=_SERVER,
    ),
    Contestant(
        name="idx_broker",
        simulator="idx_broker",
        resources=("clients/featured", "mls/approvedmls", "mls/propertytypes", "clients/agents"),
        sized=False,
        counted=False,
        dated=False,
    ),
)
"""The five providers as they are harvested by default, and the walk for any other server."""

OTHER_WALKS = (
    Contestant(
        name="centris-chain",
        simulator="centris",
        resources=("Property", "Office"),
        walk="chain",
        prove=True,
        sized=False,
        links=True,
        options={"centris": {"page_size": 12}},
    ),
    *(
        Contestant(
            name=f"{simulator}-{walk}",
            simulator=simulator,
            resources=("Property", *others),
            walk=walk,
            counted=simulator != "ims",
            page=8 if simulator == "ims" else 3,
            records=150 if simulator == "ims" else 90,
        )
        for simulator, walk, others in (
            ("centris", "windows", ("Office",)),
            ("ims", "offset", ("Database",)),
            ("ims", "ranges", ("Database",)),
            ("ims", "windows", ("Database",)),
        )
    ),
    *(
        Contestant(
            name=f"odata-{walk}",
            simulator="odata_server",
            source="odata-plain",
            resources=("Property", "Office"),
            walk=walk,
            options=_SERVER,
        )
        for walk in ("offset", "windows", "ranges")
    ),
    *(
        Contestant(name=f"{simulator}-windows", simulator=simulator, resources=resources, walk="windows", links=True)
        for simulator, resources in (("spark", ("listings", "accounts")), ("spark_reso", ("Property", "Office")))
    ),
    *(replace(each, name=f"{each.name}-proven", prove=True) for each in CONTESTANTS if each.name != "idx_broker"),
    Contestant(
        name="odata-keyset",
        simulator="odata_server",
        source="odata-plain",
        resources=("Property", "Office"),
        walk="keyset",
        options=_SERVER,
    ),
    Contestant(
        name="idx_broker-paged",
        simulator="idx_broker",
        resources=("clients/featured", "clients/agents"),
        sized=False,
        links=True,
        dated=False,
        options={"idx_broker": {"version": "1.8.0", "page_rows": 12}},
    ),
)
"""Walks that must be asked for."""

_ALSO = ("odata-keyset", "odata-offset", "centris-windows", "ims-windows", "spark-windows", "spark_reso-windows")

DELTAS = tuple(
    replace(each, name=f"{each.name}-delta", changes=80)
    for each in (*CONTESTANTS, *OTHER_WALKS)
    if each.name in {*(one.name for one in CONTESTANTS), *_ALSO}
)
"""Deltas that meet the faults, after a full harvest that met none."""

ALL = {each.name: each for each in (*CONTESTANTS, *OTHER_WALKS, *DELTAS)}
