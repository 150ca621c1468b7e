"""``harvester run``: harvest what the configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from harvester.cli.context import Given, as_path
from harvester.cli.harvesting import Choices, harvest


async def run(
    *,
    config: Annotated[Path | None, Parameter(alias="-c")] = None,
    source: list[str] | None = None,
    resource: list[str] | None = None,
    mode: Literal["auto", "full", "delta", "sweep"] = "auto",
    out: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    deadline: str | None = None,
    max_wait: str | None = None,
    prove: bool = False,
    allow_purge: bool = False,
    whole_records: bool = False,
    restart: bool = False,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Harvest every source of the configuration into sealed NDJSON shards.

    Killed or stopped at any time, the same command goes on from the last commit. On a terminal it shows one line a
    resource; otherwise standard output gets one JSON line an event and nothing else.

    Exit status:

    - 0: everything is complete
    - 1: finished, but a resource failed or is incomplete
    - 2: wrong arguments
    - 65: a provider broke its protocol
    - 70: a bug in harvester
    - 73: the output cannot be created
    - 74: reading or writing the output failed
    - 75: quota or deadline reached; run again later
    - 77: credentials refused
    - 78: the configuration is wrong
    - 79: another process writes to the same place
    - 129, 130, 143: stopped by SIGHUP, SIGINT or SIGTERM; run again to go on
    - 141: the reader of standard output went away; run again to go on

    Parameters
    ----------
    config
        the configuration file; harvester.toml in the current directory if not given.
    source
        only this source; can be given several times.
    resource
        only this resource; can be given several times.
    mode
        full reads everything; delta what changed since the last complete harvest; auto (the default) chooses delta
        where there is one; sweep lists all keys of what a complete harvest holds, fetches what differs, and writes
        tombstones for what has gone. An unfinished harvest is finished first, as it was begun.
    out
        the output directory, over the one in the configuration.
    set_
        KEY=VALUE over the configuration, for example sources.centris.budget.per_minute=10; can be given several times.
    deadline
        stop, resumable, after so long: 90s, 30m, 2h.
    max_wait
        wait at most so long for quota; where it takes longer, end with status 75 and say when to come back.
    prove
        read everything, then list all keys and fetch what is missing or different until nothing is; not with delta or
        sweep.
    allow_purge
        a sweep may take more than a fifth of a resource's records for deleted.
    whole_records
        with sweep: read whole records and compare what they say, which finds changes that got no new time and takes as
        many requests as full.
    restart
        begin again instead of going on with an unfinished run.
    json
        JSON lines also on a terminal.
    debug
        show tracebacks and log everything to standard error.
    """
    overrides = list(set_ or ())
    if out is not None:
        overrides.append(f"out={out}")
    if deadline is not None:
        overrides.append(f"deadline={deadline}")
    if max_wait is not None:
        overrides.append(f"max_wait={max_wait}")
    settings = context.api.load_config(as_path(config), overrides=overrides, ports=context.ports)
    choices = Choices(
        mode=mode,
        sources=tuple(source or ()),
        resources=tuple(resource or ()),
        restart=restart,
        prove=prove or None,
        allow_purge=allow_purge,
        whole_records=whole_records,
    )
    return await harvest(context, settings, choices, as_json=json)
