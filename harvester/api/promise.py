"""What a run promises when it begins: the plan that can be made without asking anyone."""

from __future__ import annotations

from collections.abc import Sequence

from harvester.api.assembly import Chosen
from harvester.api.plan import plan_sources, troupes
from harvester.api.ports import Ports
from harvester.config.schema import Config
from harvester.events import Event, Promised, Warned
from harvester.model import Phase

_MOST_REQUESTS = 3_000  # rehearsed one by one: the run waits for it


def promises_of(
    config: Config, chosen: Sequence[Chosen], ports: Ports, resources: Sequence[str] = (), *, mode: str = "full"
) -> tuple[Event, ...]:
    """A ``Promised`` for each source all of whose requests are known from earlier runs. Blocks while it rehearses.

    How much has changed nobody knows before it was asked, so a run that brings changes promises nothing.

    A run does not need its promise, so what goes wrong in making it is a ``Warned`` and no error.
    """
    now = ports.clock.now()
    try:
        planned = plan_sources(config, chosen, ports, resources=resources, most=_MOST_REQUESTS)
    except Exception as error:
        return tuple(
            Warned(at=now, source=each.name, message=f"no forecast of this run could be made: {error}")
            for each in chosen[:1]
        )
    owners = {name: troupe for troupe in troupes(chosen) for name in troupe}
    # Requests that nobody can foresee would take the quota from those of the same credential that are foreseen.
    unknown = {
        owners[each.source]
        for each in planned
        if not each.complete or (mode != Phase.FULL and any(item.delta for item in each.resources))
    }
    return tuple(
        Promised(
            at=now,
            source=each.source,
            requests=each.forecast.requests,
            bytes=each.forecast.bytes,
            seconds=each.forecast.seconds,
            binding=each.forecast.binding,
        )
        for each in planned
        if owners[each.source] not in unknown and each.measured
    )
