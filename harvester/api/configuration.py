"""Configurations for programs and the command line: read them, or build them from these Structs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from harvester.api.ports import Ports
from harvester.config import load
from harvester.config.schema import BudgetConfig, Config, ResourceConfig, SourceConfig
from harvester.config.secrets import Secret

__all__ = ["BudgetConfig", "Config", "ResourceConfig", "Secret", "SourceConfig", "load_config", "parse_config"]


def load_config(
    path: PurePath | str | None = None, *, overrides: Sequence[str] = (), ports: Ports | None = None
) -> Config:
    """Read a configuration file, the environment over it, *overrides* over both.

    Args:
        path: a TOML file; None: ``harvester.toml`` in the current directory where there is one.
        overrides: ``KEY=VALUE`` each, e.g. ``sources.centris.budget.per_minute=10``.
        ports: where files and the environment are read; None: this process's.
    Raises:
        ConfigError: what is wrong, with the path of the key.
    """
    ports = ports or Ports()
    found = None if path is None else PurePath(path)
    return load.load_config(found, fs=ports.fs, environment=ports.environment, overrides=overrides)


def parse_config(text: str, *, overrides: Sequence[str] = (), ports: Ports | None = None) -> Config:
    """The same from TOML that is at hand; the environment counts only when *ports* are given.

    Raises:
        ConfigError: what is wrong, with the path of the key.
    """
    environment = ports.environment if ports is not None else None
    return load.parse_config(text, environment=environment, overrides=overrides)
