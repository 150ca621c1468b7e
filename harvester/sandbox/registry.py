"""Finds the simulators: every file of this package that has a ``SIMULATOR`` is one. There is no list to edit."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import cast

from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Simulator


def load_simulators(settings: Settings) -> dict[str, Simulator]:
    """A fresh simulator of each provider, by name, sorted. One that is served ``on_request`` needs its options.

    Raises ``ValueError`` when *settings* hold options for a simulator that does not exist, or wrong ones.
    """
    made = (
        factory(settings)
        for name, factory in _factories().items()
        if name in settings.options or not getattr(factory, "on_request", False)
    )
    found = {simulator.name: simulator for simulator in made}
    for name in settings.options:
        if name not in found:
            raise ValueError(f"options for '{name}', but the simulators are {', '.join(sorted(found))}")
    return dict(sorted(found.items()))


def simulator_names() -> Sequence[str]:
    """The simulators there are, sorted: each is named like its file."""
    return sorted(_factories())


def _factories() -> Mapping[str, Callable[[Settings], Simulator]]:
    package = __package__ or "harvester.sandbox"
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
        factory = getattr(importlib.import_module(f"{package}.{module.name}"), "SIMULATOR", None)
        if factory is not None:
            found[module.name] = cast("Callable[[Settings], Simulator]", factory)
    return found


def spoken_to_by(provider: str, simulators: Iterable[Simulator]) -> Simulator | None:
    """The simulator that clients of *provider* talk to, where it has another name; None: there is none."""
    return next((each for each in simulators if getattr(each, "provider", each.name) == provider), None)


def client_sources(simulator: Simulator, url: str, identity_url: str) -> Mapping[str, Mapping[str, object]]:
    """The ``[sources.<name>]`` tables a client needs for *simulator*, by name: one, or one for each server it is."""
    tell = getattr(simulator, "client_configs", None)
    if tell is None:
        return {simulator.name: client_source(simulator, url, identity_url)}
    return cast("Callable[[str, str], Mapping[str, Mapping[str, object]]]", tell)(url, identity_url)


def client_source(simulator: Simulator, url: str, identity_url: str) -> Mapping[str, object]:
    """The ``[sources.<name>]`` table a client needs for *simulator*.

    A simulator tells it in ``client_config(url, identity_url)``, where *url* is its mount point on the main port
    and *identity_url* that on the identity port. One without that method gets a table without credentials.
    """
    tell = getattr(simulator, "client_config", None)
    if tell is None:
        return {"provider": simulator.name, "base_url": url}
    return cast("Callable[[str, str], Mapping[str, object]]", tell)(url, identity_url)
