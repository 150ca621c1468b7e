"""The ``harvester`` command: sets the process up, runs one command, ends with its status."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from importlib.metadata import version
from types import ModuleType
from typing import Any, NoReturn

from cyclopts import App, Parameter

from harvester.cli.context import Context, process_context
from harvester.cli.endings import READER_GONE, end
from harvester.cli.garbage import tune_collector
from harvester.cli.logs import set_up_logs
from harvester.cli.malloc import tune_malloc

COMMANDS = (
    "demo",
    "run",
    "sync",
    "listen",
    "plan",
    "probe",
    "status",
    "quota",
    "verify",
    "metadata",
    "view",
    "compact",
    "sandbox",
    "providers",
)
"""In the order of the help. Each is a function in the file of its name."""

Loop = Callable[[], asyncio.AbstractEventLoop]


def build_app(tokens: Sequence[str] = ()) -> App:
    """The commands with their help: only the one that *tokens* begin with, or all where they begin with none."""
    names = tokens[:1] if tokens and tokens[0] in COMMANDS else COMMANDS
    app = App(
        name="harvester",
        help="Replicates MLS data from provider APIs into NDJSON shards, and says so when anything is missing.",
        help_epilogue="Each command lists its options and exit statuses: harvester run --help",
        help_format="markdown",
        version=version("harvester"),
        version_flags=["--version"],
        default_parameter=Parameter(negative=(), show_default=False),
    )
    for order, name in enumerate(names):
        module = importlib.import_module(f"harvester.cli.{name}")
        app.command(getattr(module, name), name=name, sort_key=order, help_epilogue="")
    return app


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The entry point."""
    tokens = list(sys.argv[1:] if arguments is None else arguments)
    tune_malloc()
    tune_collector()
    context = process_context()
    finish(context, invoke(tokens, context))


def invoke(tokens: Sequence[str], context: Context) -> int:
    """Run the command that *tokens* name. Returns the exit status; raises nothing."""
    if tokens and tokens[0] == "--debug":
        tokens = [*tokens[1:], "--debug"]
    debug = "--debug" in tokens
    try:
        set_up_logs(context.stderr, debug=debug)
        command, bound, given = build_app(tokens).parse_args(tokens, exit_on_error=False, print_error=False)
        if "context" in given:
            bound.arguments["context"] = replace(context, debug=debug)
        result: object = command(*bound.args, **bound.kwargs)
        if isinstance(result, Coroutine):
            with asyncio.Runner(loop_factory=_loop_factory()) as runner:
                result = runner.run(result)
        return result if isinstance(result, int) else 0
    except BaseException as exc:
        # rich turns a reader that went away into an exit of its own.
        cause = exc.__context__ if isinstance(exc, SystemExit) else exc
        return end(cause or exc, context.stderr, debug=debug)


def _loop_factory() -> Loop | None:
    """uvloop's loop where it can be had; None: the loop of the standard library."""
    uvloop: ModuleType | Any
    try:
        uvloop = importlib.import_module("uvloop")
    except ImportError:
        return None
    factory: Loop = uvloop.new_event_loop
    return factory


def finish(context: Context, status: int) -> NoReturn:
    """End the process with *status*.

    Flushes first, where a reader that went away can be told by the status: left to the interpreter it would become
    a message and status 120.
    """
    for stream in (context.stdout, context.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
            continue
        status = status or READER_GONE
        with contextlib.suppress(OSError, ValueError):
            stream.close()
    sys.exit(status)
