"""harvester: complete, quota-exact replication of MLS data."""

from harvester.api.harvest import run
from harvester.api.session import Session
from harvester.api.session import open_session as open  # noqa: A004 - the public name is harvester.open
from harvester.config.load import load_config, parse_config
from harvester.config.schema import BudgetConfig, Config, ResourceConfig, SourceConfig
from harvester.config.secrets import Secret
from harvester.engine.stream import DeliveredPage, PageStream
from harvester.errors import HarvesterError
from harvester.report.tally import Report

__all__ = [
    "BudgetConfig",
    "Config",
    "DeliveredPage",
    "HarvesterError",
    "PageStream",
    "Report",
    "ResourceConfig",
    "Secret",
    "Session",
    "SourceConfig",
    "load_config",
    "open",
    "parse_config",
    "run",
]
