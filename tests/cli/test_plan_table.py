"""What ``harvester plan`` shows, without a disk or a network."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harvester.api.plan import PlannedResource, PlannedSource, PlanReport
from harvester.cli.calls import REAL
from harvester.cli.main import invoke
from harvester.planning.forecast import Forecast
from tests.fakes.given_files import GivenFiles
from tests.fakes.terminal import screen

CONFIG = GivenFiles(
    {"harvester.toml": '[sources.ims]\nclient_id = "a"\nclient_secret = "env:B"\nresources = ["Property"]\n'}
)

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_reasons_are_shown_without_the_marks_of_the_documentation() -> None:
    shown = screen(fs=CONFIG)
    assert invoke(["plan", "--offline"], shown.context) == 0, shown.stderr.getvalue()
    text = shown.stdout.getvalue()
    assert "keyset: Continues from" in text
    assert "`" not in text


@pytest.mark.parametrize(
    ("records", "why"), [(2_000, "the size of the pages is the server's, and"), (None, "nothing could be counted, and")]
)
def test_a_plan_that_cannot_reckon_requests_says_what_is_not_known(records: int | None, why: str) -> None:
    resource = PlannedResource(
        resource="Property",
        walk="chain",
        reason="",
        walks=1,
        records=records,
        evidence="",
        requests=None,
        bytes=None,
        seconds=None,
        implied=False,
    )
    source = PlannedSource(
        source="north",
        provider="RESO Web API",
        base_url="https://api.north.example/",
        windows=(),
        kept_back=0.0,
        in_flight=4,
        resources=(resource,),
        forecast=Forecast(requests=0, bytes=None, seconds=0.0, binding=""),
        complete=False,
        measured=False,
    )

    async def planned(*_: object, **__: object) -> PlanReport:
        return PlanReport(out="out", at=AT, sources=(source,), counted=True)

    shown = screen(fs=CONFIG, api=replace(REAL, plan=planned))
    assert invoke(["plan"], shown.context) == 0, shown.stderr.getvalue()
    assert f"how much it takes is not known: {why} no run has finished" in shown.stdout.getvalue()
