"""Configurations for programs and the command line: read them, or build them from these Structs."""

from __future__ import annotations

from harvester.config.load import load_config, parse_config
from harvester.config.schema import BudgetConfig, Config, ResourceConfig, SourceConfig
from harvester.config.secrets import Secret

__all__ = ["BudgetConfig", "Config", "ResourceConfig", "Secret", "SourceConfig", "load_config", "parse_config"]
