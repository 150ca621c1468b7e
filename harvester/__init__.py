"""harvester: complete, quota-exact replication of MLS data."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harvester.api.configuration import load_config, parse_config
    from harvester.api.harvest import run
    from harvester.api.session import Session
    from harvester.api.session import open_session as open  # noqa: A004 - the public name is harvester.open
    from harvester.api.sync import SyncReport, sync
    from harvester.config.schema import BudgetConfig, Config, ResourceConfig, SourceConfig
    from harvester.config.secrets import Secret
    from harvester.engine.stream import DeliveredPage, PageStream
    from harvester.errors import HarvesterError
    from harvester.report.pulse import Health
    from harvester.report.tally import Report

__all__ = [
    "BudgetConfig",
    "Config",
    "DeliveredPage",
    "HarvesterError",
    "Health",
    "PageStream",
    "Report",
    "ResourceConfig",
    "Secret",
    "Session",
    "SourceConfig",
    "SyncReport",
    "load_config",
    "open",
    "parse_config",
    "run",
    "sync",
]

# Each is loaded when it is first used: a command that harvests nothing does not load the client, and ``import
# harvester`` costs nothing by itself.
_HOMES = {
    "BudgetConfig": "config.schema",
    "Config": "config.schema",
    "DeliveredPage": "engine.stream",
    "HarvesterError": "errors",
    "Health": "report.pulse",
    "PageStream": "engine.stream",
    "Report": "report.tally",
    "ResourceConfig": "config.schema",
    "Secret": "config.secrets",
    "Session": "api.session",
    "SourceConfig": "config.schema",
    "SyncReport": "api.sync",
    "load_config": "api.configuration",
    "open": "api.session",
    "parse_config": "api.configuration",
    "run": "api.harvest",
    "sync": "api.sync",
}
_NAMES_THERE = {"open": "open_session"}


if not TYPE_CHECKING:  # a type checker that saw it would take every misspelt name for a public one

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), _NAMES_THERE.get(name, name))
        globals()[name] = found  # asked once
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
