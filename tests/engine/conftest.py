"""An output directory, prepared as a run prepares it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def out(tmp_path: Path) -> Path:
    path = tmp_path / "out"
    (path / "_harvester").mkdir(parents=True)
    return path
