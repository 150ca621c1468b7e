"""A sandbox in this process, on loopback, and the configuration that fits it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import harvester
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with running_sandbox(Settings(seed=5, records=300, time_scale=3600)) as running:
        yield running


@pytest.fixture
def config(sandbox: Sandbox, tmp_path: Path) -> harvester.Config:
    return harvester.parse_config(sandbox.config_toml(), overrides=[f"out={tmp_path / 'out'}"])
