"""``harvester sandbox``: serve simulated providers on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
from cyclopts import Parameter
from msgspec import Struct

from harvester.cli.context import Context, Given, as_path
from harvester.cli.signals import stopping_on_signals
from harvester.contracts import Clock
from harvester.errors import ArgumentError, CannotCreate
from harvester.sandbox import oddities
from harvester.sandbox.exchange import Sandbox
from harvester.sandbox.faults import FaultError, Rule, parse_rules
from harvester.sandbox.server import serve
from harvester.sandbox.settings import Settings

HIGHEST_PORT = 65_535
PARENT_CHECK = 1.0  # seconds between two looks at whether the parent still lives


class SandboxReady(Struct, frozen=True, kw_only=True, tag="sandbox_ready", tag_field="event"):
    """The one line a sandbox writes to a standard output that is no terminal."""

    url: str
    identity_url: str
    providers: tuple[str, ...]
    config: str = ""  # path of the client configuration, when one was written


async def sandbox(
    *,
    seed: int = 1,
    records: int = 5_000,
    port: int = 8080,
    identity_port: int = 0,
    time_scale: float = 1.0,
    mutate: float = 0.0,
    webhooks: str = "",
    webhook_secret: str = "",
    server: list[str] | None = None,
    credentials: int = 1,
    faults: Path | None = None,
    write_config: Path | None = None,
    follow_parent: Annotated[int | None, Parameter(show=False)] = None,
    debug: bool = False,
    context: Given,
) -> int:
    """Serve all providers on this machine, simulated: data, paging, quotas, errors. No credentials needed.

    It listens on 127.0.0.1 only. On a terminal it says how to use it; otherwise standard output gets one JSON line
    with the addresses. It ends on Ctrl-C or SIGTERM.

    Exit status:

    - 0: ended by a signal
    - 2: wrong arguments
    - 70: a bug in harvester
    - 73: a port is taken
    - 74: a file cannot be read or written

    Parameters
    ----------
    seed
        the same seed gives the same data.
    records
        listings of each provider, 5000 if not given; other resources in proportion.
    port
        of the providers, 8080 if not given; 0 lets the system choose.
    identity_port
        of the identity providers; the system chooses if not given.
    time_scale
        makes quota windows so many times shorter, for demonstrations.
    mutate
        rows changed every second while it serves.
    webhooks
        an address that changes are posted to, as Centris does; some twice, in no order to rely on.
    webhook_secret
        signs these posts (Standard Webhooks): base64, with or without whsec_ in front.
    server
        also serve an OData server of no particular provider, with oddities: plain, or words such as
        links-offset,cap-100,ignores-filter; can be given several times. A wrong word lists all there are.
    credentials
        how many a written configuration has for each provider, 1 to 9; each has a quota of its own.
    faults
        a JSON list of fault rules to begin with.
    write_config
        write a client configuration that fits to this file.
    debug
        show tracebacks and log everything to standard error.
    """
    settings = settings_of(
        lambda: Settings(
            seed=seed,
            records=records,
            time_scale=time_scale,
            mutate=mutate,
            webhooks=webhooks,
            webhook_secret=webhook_secret,
            credentials=credentials,
            clock=context.ports.clock,
            options={"odata_server": {"servers": server}} if server else {},
        )
    )
    _check_servers(server or ())
    _check_port("--port", port)
    _check_port("--identity-port", identity_port)
    rules = _read_rules(context, faults)
    config = as_path(write_config)
    if config is not None and not context.ports.fs.exists(config.parent):
        raise ArgumentError(f"--write-config {config}: there is no directory {config.parent}")

    def ready(running: Sandbox) -> None:
        running.faults.replace(rules)
        if config is not None:
            context.ports.fs.replace(config, running.config_toml().encode())
        _announce(context, running, str(config or ""))

    stop = anyio.Event()
    with stopping_on_signals(stop, announcement=""):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_serve, settings, port, identity_port, ready)
            if follow_parent is not None:
                tasks.start_soon(_watch_parent, follow_parent, stop, settings.clock)
            await stop.wait()
            tasks.cancel_scope.cancel()
    return 0


def _check_servers(servers: Sequence[str]) -> None:
    for server in servers:
        try:
            oddities.parse(server)
        except ValueError as exc:
            raise ArgumentError(f"--server {server}: {exc}") from exc


def settings_of(make: Callable[[], Settings]) -> Settings:
    """What *make* returns; settings that make no sense are an ``ArgumentError``."""
    try:
        return make()
    except ValueError as exc:
        raise ArgumentError(str(exc)) from exc


def _check_port(option: str, port: int) -> None:
    # The system would take the number modulo 65536 and listen elsewhere.
    if not 0 <= port <= HIGHEST_PORT:
        raise ArgumentError(f"{option} must be between 0 and {HIGHEST_PORT}, not {port}")


async def _serve(settings: Settings, port: int, identity_port: int, ready: Callable[[Sandbox], None]) -> None:
    try:
        await serve(settings, port=port, identity_port=identity_port, on_ready=ready)
    except OSError as exc:
        raise CannotCreate(
            f"the sandbox cannot listen on port {port} or {identity_port}: ({exc.strerror}). "
            "Name others with --port and --identity-port; 0 lets the system choose."
        ) from exc


async def _watch_parent(parent: int, stop: anyio.Event, clock: Clock) -> None:
    """A parent that was killed cannot end its child: the child sees that it has another parent now.

    *parent* is told, not asked for: the parent may be gone before this begins.
    """
    while os.getppid() == parent:
        await clock.sleep(PARENT_CHECK)
    stop.set()


def _read_rules(context: Context, faults: Path | None) -> list[Rule]:
    path = as_path(faults)
    if path is None:
        return []
    if not context.ports.fs.exists(path):
        raise ArgumentError(f"--faults {path}: there is no such file")
    try:
        return parse_rules(context.ports.fs.read(path))
    except FaultError as exc:
        raise ArgumentError(f"{path}: {exc}") from exc


def _announce(context: Context, running: Sandbox, config: str) -> None:
    if not context.for_a_person:
        ready = SandboxReady(
            url=running.url, identity_url=running.identity_url, providers=tuple(running.simulators), config=config
        )
        context.raw_stdout.write(msgspec.json.encode(ready) + b"\n")
        return
    context.narrate(f"Serving {', '.join(running.simulators)} on {running.url}, tokens on {running.identity_url}.")
    if config:
        context.narrate(f"Harvest it:      harvester run -c {config}")
    else:
        context.narrate(f"A configuration: curl {running.url}/_sandbox/config > sandbox.toml")
        context.narrate("Harvest it:      harvester run -c sandbox.toml")
    context.narrate(f"Compare:         harvester verify out --against {running.url}")
    context.narrate(f"What was asked:  curl {running.url}/_sandbox/log")
    context.narrate("Ctrl-C ends it.")
