"""A quota of bytes, from the configuration to the wire."""

from __future__ import annotations

import json

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace


# At this time scale nothing is left of the quota of requests, which is not what is tested here.
@pytest.mark.parametrize("sandbox", [("--records", "300", "--time-scale", "100000")], indirect=True)
def test_a_quota_of_bytes_is_kept_to_the_byte(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS Q04: the server counts what it sends, and refuses the page that would be too much."""
    whole = sum(len(row) for row in sandbox.truth("spark_reso", "Property"))
    limit, seconds = whole // 3, 1.0
    sandbox.set_faults([{"fault": f"quota:bytes={limit},{seconds:g}", "match": {"provider": "spark_reso"}}])
    done = workplace.run(
        "run", "-c", str(sandbox.config), "--source", "spark_reso", "--resource", "Property",
        "--set", "sources.spark_reso.page_size=5",
        "--set", f"sources.spark_reso.budget.windows=[{{bytes={limit}, seconds={seconds:g}}}]",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    entries = sandbox.log("spark_reso")
    assert {entry["status"] for entry in entries} == {200}
    took = float(str(entries[-1]["at"])) - float(str(entries[0]["at"]))
    assert took >= 2 * seconds
    said = workplace.run(
        "quota", "-c", str(sandbox.config), "--source", "spark_reso", "--json",
        "--set", f"sources.spark_reso.budget.windows=[{{bytes={limit}, seconds=3600}}]",
    )  # fmt: skip
    (window,) = json.loads(said.stdout)["credentials"][0]["windows"]
    assert window["used"] == sum(int(str(entry["bytes"])) for entry in entries)
