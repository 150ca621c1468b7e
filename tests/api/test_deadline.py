"""A run that its deadline ends says so, not only that it stopped."""

from __future__ import annotations

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
