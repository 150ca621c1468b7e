"""What a person typed wrong is told as that: the word, what is wrong with it, and status 2 or 78."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.api.ports import Ports
from harvester.cli.context import Context
from harvester.cli.main import invoke
from tests.fakes.given_files import GivenFiles
from tests.fakes.terminal import Screen, screen

CONFIG = GivenFiles(
    {"harvester.toml": '[sources.ims]\nclient_id = "a"\nclient_secret = "env:B"\nresources = ["Property"]\n'}
)


def typed(*tokens: str, place: Path | None = None) -> tuple[int, str]:
    """Status and message; with *place* on the real disk, else with ``CONFIG``."""
    shown: Screen = screen(fs=CONFIG)
    context: Context = shown.context
    if place is not None:
        context = Context(stdout=shown.stdout, stderr=shown.stderr, raw_stdout=shown.raw, ports=Ports(environment={}))
    status = invoke(list(tokens), context)
    return status, shown.stderr.getvalue()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["sandbox", "--port", "99999"], "--port must be between 0 and 65535, not 99999"),
        (["sandbox", "--identity-port", "-1"], "--identity-port must be between 0 and 65535, not -1"),
        (["sandbox", "--faults", "absent.json"], "--faults absent.json: there is no such file"),
        (["sandbox", "--write-config", "absent/x.toml"], "--write-config absent/x.toml: there is no directory absent"),
        (["demo", "--records", "0"], "records must be at least 1, not 0"),
        (["run", "--resource", "property"], "a resource 'property'; did you mean \"Property\"?"),
        (["plan", "--offline", "--resource", "Property", "--resource", "Memberr"], "a resource 'Memberr'"),
        (["run", "--source", "nope"], "there is no source 'nope'; known are: ims"),
        (["providers", "extra", "more"], "too many arguments: extra more"),
        (["run", "--mode", "quick"], '"auto", "full"'),
    ],
)
def test_a_word_of_the_command_line_is_status_2(tokens: list[str], expected: str) -> None:
    status, message = typed(*tokens)
    assert expected in message
    assert status == 2
    assert "committed" not in message


@pytest.mark.parametrize("url", ["notaurl", "ftp://x", "https://provider.example"])
def test_verify_against_what_is_no_sandbox_is_status_2(url: str, tmp_path: Path) -> None:
    status, message = typed("verify", str(tmp_path), "--against", url, place=tmp_path)
    assert status == 2
    assert "sandbox" in message
    assert "https:// URL" not in message


@pytest.mark.parametrize("command", ["status", "verify"])
def test_a_file_is_no_harvest(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, message = typed(command, str(tmp_path / "file"), place=tmp_path)
    assert (status, "holds no harvest" in message) == (2, True)


def test_a_demo_into_a_file_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    status, message = typed("demo", "--records=5", "--out", str(tmp_path / "file"), place=tmp_path)
    assert status == 73
    assert message.startswith(f"harvester: {tmp_path}/file: is a file.")


def test_a_demo_with_wrong_arguments_creates_nothing(tmp_path: Path) -> None:
    assert typed("demo", "--records=0", "--out", str(tmp_path / "out"), place=tmp_path)[0] == 2
    assert not (tmp_path / "out").exists()


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    status, message = typed("run", "-c", str(tmp_path), place=tmp_path)
    assert (status, "is a directory; name the configuration file in it" in message) == (78, True)


def test_without_a_configuration_the_first_steps_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, message = typed("run", place=tmp_path)
    assert status == 78
    assert "no harvester.toml in this directory" in message
    assert "harvester providers" in message
    assert "harvester demo" in message


def test_the_epilogue_stands_only_below_the_list_of_commands(capsys: pytest.CaptureFixture[str]) -> None:
    invoke([], screen().context)
    assert "Each command lists" in capsys.readouterr().out
    invoke(["status", "--help"], screen().context)
    assert "Each command lists" not in capsys.readouterr().out
