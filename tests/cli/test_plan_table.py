"""What ``harvester plan`` shows, without a disk or a network."""

from __future__ import annotations

from harvester.cli.main import invoke
from tests.fakes.given_files import GivenFiles
from tests.fakes.terminal import screen

CONFIG = GivenFiles(
    {"harvester.toml": '[sources.ims]\nclient_id = "a"\nclient_secret = "env:B"\nresources = ["Property"]\n'}
)


def test_reasons_are_shown_without_the_marks_of_the_documentation() -> None:
    shown = screen(fs=CONFIG)
    assert invoke(["plan", "--offline"], shown.context) == 0, shown.stderr.getvalue()
    text = shown.stdout.getvalue()
    assert "keyset: Continues from" in text
    assert "`" not in text
