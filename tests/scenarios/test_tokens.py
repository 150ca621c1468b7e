"""Tokens over several runs, as the server's log shows them."""

from __future__ import annotations

import stat

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace


@pytest.mark.parametrize(("keep", "asked"), [("true", 1), ("false", 2)])
def test_a_token_is_kept_for_the_next_run_where_the_configuration_wants_it(
    sandbox: SandboxProcess, workplace: Workplace, keep: str, asked: int
) -> None:
    """FAULTS A07: and in a file that is nobody else's."""
    arguments = ("-c", str(sandbox.config), "--source", "ims", "--resource", "Database", "--set", f"keep_tokens={keep}")
    for _ in range(2):
        done = workplace.run("run", *arguments)
        assert done.returncode == 0, done.stderr
    assert len([entry for entry in sandbox.log("ims") if entry["token"]]) == asked
    kept = sorted(path for path in workplace.out.rglob("tokens/*"))
    assert [path.name for path in kept] == (["ims.json"] if keep == "true" else [])
    for path in kept:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert "ims-demo-secret" not in path.read_text()
