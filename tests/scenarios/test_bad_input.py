"""Bad input gets one clear paragraph and a documented status; nothing is lost and no traceback is shown."""

from __future__ import annotations

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace


def edited(sandbox: SandboxProcess, old: str, new: str) -> str:
    text = sandbox.config.read_text()
    assert old in text
    sandbox.config.write_text(text.replace(old, new))
    return str(sandbox.config)


@pytest.mark.parametrize(
    ("old", "new", "status", "expected"),
    [
        ('provider = "ims"', 'provider = "imz"', 78, "sources.ims.provider: there is no provider"),
        ('client_id = "ims-demo"', 'client_ids = "ims-demo"', 78, 'did you mean "client_id"'),
        ('client_secret = "ims-demo-secret"', 'client_secret = { env = "NO_SUCH" }', 78, "NO_SUCH is not set"),
        ('client_secret = "ims-demo-secret"', "", 78, "sources.ims.client_secret"),
        ('client_secret = "ims-demo-secret"', 'client_secret = "wrong"', 77, "Invalid credentials"),
        ('/ims"\n', '/nothing"\n', 1, "404"),
    ],
)
def test_a_wrong_configuration_is_named(
    sandbox: SandboxProcess, workplace: Workplace, old: str, new: str, status: int, expected: str
) -> None:
    done = workplace.run("run", "-c", edited(sandbox, old, new), "--source", "ims")
    told = done.stdout + done.stderr
    assert done.returncode == status, told
    assert expected in told
    assert "Traceback" not in told


def test_a_missing_configuration_says_where_it_looked(workplace: Workplace) -> None:
    done = workplace.run("run", "-c", "nowhere.toml")
    assert done.returncode == 78
    assert "nowhere.toml" in done.stderr


def test_an_output_directory_that_cannot_be_made_fails_before_the_first_request(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS F09."""
    (workplace.directory / "file").write_text("in the way")
    done = workplace.run("run", "-c", str(sandbox.config), "--out", "file/out")
    assert done.returncode == 73
    assert sandbox.log() == []


def test_https_to_a_server_that_speaks_none_fails_without_a_retry_storm(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS N14."""
    config = edited(sandbox, 'token = "sandbox-spark-replication"', 'token = "x"')
    done = workplace.run(
        "run", "-c", config, "--source", "spark_reso", "--resource", "Office",
        "--set", f"sources.spark_reso.base_url={sandbox.url.replace('http:', 'https:')}/spark_reso/Reso/OData",
    )  # fmt: skip
    assert done.returncode not in {0, 70}, done.stderr
    assert "Traceback" not in done.stderr


def test_a_refused_token_is_tried_once(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS A03: a wrong key that is tried again and again locks the account."""
    config = edited(sandbox, 'token = "sandbox-spark-replication"', 'token = "wrong"')
    done = workplace.run("run", "-c", config, "--source", "spark_reso")
    assert done.returncode == 77, done.stdout
    refused = [entry for entry in sandbox.log("spark_reso") if entry["status"] in {401, 403}]
    assert 1 <= len(refused) <= 4  # those in flight when the first refusal came; no walk tries it again
