"""A run that its deadline ends says so, not only that it stopped."""

from __future__ import annotations

import asyncio
from pathlib import Path

from harvester.api.configuration import parse_config
from harvester.api.harvest import run
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings


async def test_rows_name_the_deadline_and_the_status_is_75(tmp_path: Path) -> None:
    async with running_sandbox(Settings(records=400)) as sandbox:
        overrides = [f"out={tmp_path / 'out'}", "sources.ims.page_size=1"]
        report = await run(parse_config(sandbox.config_toml(), overrides=overrides), sources=["ims"], deadline=0.3)
    assert report.exit_status == 75
    told = {row.reason for row in report.resources if row.verdict == "interrupted"}
    assert told == {"the deadline of 0.3 s was reached; run the same command again to go on"}


async def test_what_lies_beyond_the_deadline_is_not_waited_for(tmp_path: Path) -> None:
    """Also when a program names it: the run ends at once, and says when to come back."""
    async with running_sandbox(Settings(records=400)) as sandbox:
        windows = "sources.ims.budget.windows=[{requests=2, seconds=3600}]"
        config = parse_config(sandbox.config_toml(), overrides=[f"out={tmp_path / 'out'}", windows])
        report = await asyncio.wait_for(run(config, sources=["ims"], deadline=1000.0), 30)
    assert report.exit_status == 75
    assert any(
        "the deadline is in" in row.reason and "Run the same command again" in row.reason for row in report.resources
    )
