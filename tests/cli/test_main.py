"""The command line: arguments, help, statuses, messages."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePath

import pytest

from harvester.cli.main import COMMANDS, finish, invoke
from harvester.config.schema import Config
from harvester.errors import ConfigError, CredentialsRefused, Locked, ProtocolError, QuotaExhausted
from harvester.report.tally import Report, Tally
from tests.fakes import happenings as h
from tests.fakes.given_files import GivenFiles
from tests.fakes.terminal import Screen, Stream, screen, with_run

CONFIG = GivenFiles({"harvester.toml": "[sources.ims]\n", "broken.toml": "[sources.ims]\nbudgets = 1\n"})


class Recorder:
    """A run that succeeds, and remembers what it was asked."""

    def __init__(self, *, exit_status: int = 0) -> None:
        self.config: Config | None = None
        self.asked: dict[str, object] = {}
        self._exit_status = exit_status

    async def __call__(self, config: Config, *, sink: Tally, **asked: object) -> Report:
        self.config, self.asked = config, asked
        tally = Tally()
        verdict = "complete" if self._exit_status == 0 else "incomplete"
        for event in (h.run_started(), h.started(), h.finished(verdict=verdict), h.run_finished(self._exit_status)):
            tally(event)
            sink(event)
        return tally.report()


def raising(error: BaseException) -> Screen:
    async def run(_config: Config, **_asked: object) -> Report:
        raise error

    return screen(fs=CONFIG, api=with_run(run))


def test_without_a_command_the_help_lists_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke([], screen().context) == 0
    shown = capsys.readouterr().out
    assert all(f" {name} " in shown for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_lists_its_exit_statuses_and_explains_every_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke([command, "--help"], screen().context) == 0
    shown = capsys.readouterr().out
    assert "Exit status:" in shown
    assert "• 2: wrong arguments" in shown
    options = [line.strip("│ \n") for line in shown.splitlines() if line.startswith("│ --")]
    assert "--debug" in shown
    assert all(len(line.split()) > 2 for line in options), options


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["--version"], screen().context) == 0
    assert capsys.readouterr().out.strip().count(".") == 2


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (["run", "--soruce", "x"], "Did you mean --source"),
        (["rum"], 'Unknown command "rum"'),
        (["run", "--mode", "fast"], '"auto", "full"'),
        (["run", "surplus"], "surplus"),
        (["run", "--deadline"], "--deadline"),
        (["run", "--set", "nonsense"], "KEY=VALUE"),
        (["run", "--out\x1b[2J", "x"], "\\x1b[2J"),
    ],
)
def test_wrong_arguments_get_a_message_and_status_2(tokens: list[str], expected: str) -> None:
    shown = screen(fs=CONFIG)
    assert invoke(tokens, shown.context) == 2
    message = shown.stderr.getvalue()
    assert expected in message
    assert message.startswith("harvester: ")
    assert "Traceback" not in message
    assert "\x1b" not in message


def test_flags_become_overrides_and_choices() -> None:
    run = Recorder()
    shown = screen(fs=CONFIG, api=with_run(run))
    tokens = ["run", "--source", "ims", "--resource", "A", "--resource", "B", "--mode", "full", "--out", "elsewhere"]
    tokens += ["--set", "sources.ims.page_size=7", "--deadline", "2h", "--restart"]
    assert invoke(tokens, shown.context) == 0
    assert run.config is not None
    assert run.config.out == "elsewhere"
    assert run.config.sources["ims"].page_size == 7
    choices = {name: run.asked[name] for name in ("mode", "sources", "resources", "deadline", "restart")}
    assert choices == {
        "mode": "full",
        "sources": ("ims",),
        "resources": ("A", "B"),
        "deadline": 7200.0,
        "restart": True,
    }


def test_a_config_error_is_status_78_and_names_the_key() -> None:
    shown = screen(fs=CONFIG)
    assert invoke(["run", "-c", "broken.toml"], shown.context) == 78
    assert shown.stderr.getvalue() == 'harvester: sources.ims.budgets: unknown key; did you mean "budget"?\n'
    shown = screen(fs=CONFIG)
    assert invoke(["run", "--config", "absent.toml"], shown.context) == 78
    assert "absent.toml" in shown.stderr.getvalue()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CredentialsRefused("ims: refused"), 77),
        (QuotaExhausted("ims: quota spent"), 75),
        (ExceptionGroup("tasks", [ExceptionGroup("more", [CredentialsRefused("ims: refused")])]), 77),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (RuntimeError("oh\x1b[2J"), 70),
        (ExceptionGroup("tasks", [CredentialsRefused("x"), KeyError("bug")]), 70),
        (MemoryError(), 70),
    ],
)
def test_every_error_ends_with_its_status_and_without_a_traceback(error: BaseException, status: int) -> None:
    shown = raising(error)
    assert invoke(["run"], shown.context) == status
    message = shown.stderr.getvalue()
    assert "Traceback" not in message
    assert "\x1b" not in message


def test_an_unexpected_error_says_that_it_is_a_bug_and_where_the_work_is() -> None:
    shown = raising(RuntimeError("oh"))
    invoke(["run", "--out", "my-place"], shown.context)
    message = shown.stderr.getvalue()
    assert "this is a bug" in message
    assert "RuntimeError: oh" in message
    assert "safe in my-place" in message


class GoneStream(Stream):
    """A pipe whose reader went away."""

    def flush(self) -> None:
        raise BrokenPipeError

    def write(self, text: str, /) -> int:
        raise BrokenPipeError


def test_a_reader_that_went_away_is_status_141_whoever_finds_out() -> None:
    """FAULTS R08: ``harvester providers | head -1``, and what is flushed only at the end."""
    gone = GoneStream(terminal=False)
    context = replace(screen().context, stdout=gone)
    with pytest.raises(SystemExit) as ended:
        finish(context, 0)
    assert ended.value.code == 141
    assert gone.closed
    with pytest.raises(SystemExit) as failed:
        finish(replace(context, stdout=GoneStream(terminal=False)), 75)
    assert failed.value.code == 75


def test_commands_that_only_print_end_quietly_when_nobody_reads() -> None:
    """FAULTS R08."""
    command = f"{sys.executable} -m harvester providers | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_told() -> None:
    """FAULTS F01, for the stream the shell has opened."""
    command = f"{sys.executable} -m harvester providers > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, timeout=30, check=False)
    assert done.returncode == 74
    assert b"No space left" in done.stderr


def test_what_a_server_said_is_escaped_in_the_message() -> None:
    """FAULTS E06 and E07."""
    shown = raising(ProtocolError("evil\x1b[2J\nharvester: all is well"))
    assert invoke(["run"], shown.context) == 65
    assert shown.stderr.getvalue().startswith("harvester: evil\\x1b[2J\\nharvester: all is well\n")


@pytest.mark.parametrize("error", [ConfigError("no such host", path="sources.ims"), Locked("locked")])
def test_an_error_before_any_work_does_not_promise_that_the_same_command_goes_on(error: Exception) -> None:
    shown = raising(error)
    invoke(["run"], shown.context)
    assert shown.stderr.getvalue() == f"harvester: {error}\n"


def test_debug_shows_the_traceback_wherever_it_stands() -> None:
    for tokens in (["run", "--debug"], ["--debug", "run"]):
        shown = raising(RuntimeError("oh"))
        assert invoke(tokens, shown.context) == 70
        assert "Traceback" in shown.stderr.getvalue()


def test_in_a_pipe_standard_output_is_one_json_line_an_event_and_nothing_else() -> None:
    shown = screen(fs=CONFIG, api=with_run(Recorder()))
    assert invoke(["run"], shown.context) == 0
    names = [line.split(b'"')[3].decode() for line in shown.raw.getvalue().splitlines()]
    assert names == ["run_started", "resource_started", "resource_finished", "run_finished"]
    assert shown.stdout.getvalue() == ""
    assert shown.stderr.getvalue() == ""


def test_in_a_pipe_what_is_wrong_is_told_on_standard_error() -> None:
    shown = screen(fs=CONFIG, api=with_run(Recorder(exit_status=1)))
    assert invoke(["run"], shown.context) == 1
    assert "0 of 1 resource complete" in shown.stderr.getvalue()
    assert shown.stdout.getvalue() == ""


def test_on_a_terminal_the_closing_table_is_shown() -> None:
    shown = screen(terminal=True, fs=CONFIG, api=with_run(Recorder()))
    assert invoke(["run"], shown.context) == 0
    assert "1 of 1 resource complete" in shown.stdout.getvalue()
    assert shown.raw.getvalue() == b""


def test_json_lines_can_be_had_on_a_terminal() -> None:
    shown = screen(terminal=True, fs=CONFIG, api=with_run(Recorder()))
    assert invoke(["run", "--json"], shown.context) == 0
    assert shown.raw.getvalue().count(b"\n") == 4
    assert shown.stdout.getvalue() == ""


def test_the_loop_is_uvloops_where_there_is_one() -> None:
    seen: list[str] = []

    async def run(_config: Config, **_asked: object) -> Report:
        seen.append(type(asyncio.get_running_loop()).__module__)
        return Tally().report()

    invoke(["run"], screen(fs=CONFIG, api=with_run(run)).context)
    assert seen == ["uvloop" if sys.platform != "win32" else "asyncio.windows_events"]


def test_the_configuration_comes_from_the_given_file() -> None:
    run = Recorder()
    fs = GivenFiles({"deep/own.toml": "out = 'mine'\n[sources.ims]\n"})
    assert invoke(["run", "-c", str(PurePath("deep", "own.toml"))], screen(fs=fs, api=with_run(run)).context) == 0
    assert run.config is not None
    assert run.config.out == "mine"
