"""The README's Python lines work as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import harvester
from harvester.sandbox.exchange import Sandbox

README = Path(__file__).parents[2] / "README.md"


async def test_the_lines_of_the_chapter_in_a_program_run(sandbox: Sandbox, tmp_path: Path) -> None:
    """As printed, with a configuration file beside them and a ``load`` of the reader's own."""
    code = next(
        block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.S) if "session.pages" in block
    )
    (tmp_path / "harvester.toml").write_text(sandbox.config_toml())
    taken: list[bytes] = []
    scope: dict[str, object] = {
        "harvester": harvester,
        "config": harvester.load_config(tmp_path / "harvester.toml", overrides=[f"out={tmp_path / 'out'}"]),
        "load": taken.extend,
    }
    lines = [line for line in code.splitlines() if not line.startswith("import")]
    body = "async def program():\n" + "\n".join(f"    {line}" for line in lines) + "\n    return report"
    exec(body, scope)  # noqa: S102 - our own README
    report = await scope["program"]()  # type: ignore[operator]
    assert report.complete
    assert sorted(taken) == sorted(sandbox.simulator("centris").truth("Property"))
