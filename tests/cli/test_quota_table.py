"""What ``harvester quota`` shows on a terminal that is not wide."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harvester.api.quota import CredentialQuota, QuotaReport, WindowQuota
from harvester.cli.calls import REAL
from harvester.cli.main import invoke
from tests.fakes.given_files import GivenFiles
from tests.fakes.terminal import screen

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def window(seconds: float) -> WindowQuota:
    return WindowQuota(
        unit="requests",
        seconds=seconds,
        limit=5_000,
        stated=5_000,
        used=1_234,
        left=3_766,
        frees_at=AT.replace(day=2),
        resets_at=AT.replace(day=2),
        declared=True,
    )


@pytest.mark.parametrize("columns", [160, 80, 60])
def test_no_cell_of_the_windows_is_broken_over_two_lines(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The windows of a sandbox whose time runs 3,600 times as fast have lengths of many digits."""
    monkeypatch.setenv("COLUMNS", str(columns))
    windows = tuple(window(each / 3600) for each in (60, 86_400, 1e-3))
    credential = CredentialQuota(
        credential="centris|x|y", sources=("centris",), windows=windows, open=0,
        paused_until=None, pause_reason="", told=(), learned=(),
    )  # fmt: skip
    api = replace(REAL, quota=lambda *_, **__: QuotaReport(out="out", at=AT, credentials=(credential,)))
    shown = screen(terminal=True, api=api, fs=GivenFiles({"harvester.toml": "[sources.centris]\n"}))
    assert invoke(["quota"], shown.context) == 0
    rows = [line for line in shown.stdout.getvalue().splitlines() if "per" in line]
    assert [row.split("  ")[0].strip() for row in rows] == [
        "requests per 17 ms", "requests per 24 s", "requests per 0.00028 ms",
    ]  # fmt: skip
    assert all("3,766" in row for row in rows)
    assert max(map(len, rows)) <= columns
