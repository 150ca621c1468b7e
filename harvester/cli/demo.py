"""``harvester demo``: simulated providers, a whole harvest of them, and the proof that nothing is missing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

import anyio
import msgspec

from harvester.cli.child import sandbox_process
from harvester.cli.context import Context, Given
from harvester.cli.harvesting import Choices, harvest
from harvester.cli.sandbox import SandboxReady, settings_of
from harvester.cli.signals import stopping_on_signals
from harvester.cli.verify import write_checks
from harvester.contracts import FileLock
from harvester.errors import CannotCreate
from harvester.report import units
from harvester.sandbox.settings import Settings

TIME_SCALE = 360  # an hour of a provider's quota passes in ten seconds
STATE = "_harvester"
MARKER = "demo.json"
CONFIG = "demo.toml"
LOCK = "demo.lock"


async def demo(
    *,
    out: Path = Path("out"),
    records: int = 5_000,
    seed: int = 1,
    keep: bool = False,
    json: bool = False,
    debug: bool = False,
    context: Given,
) -> int:
    """Serve five simulated providers, harvest all of them, and compare the result with the truth.

    Needs no configuration, no credentials and no network. An earlier demo in the same directory is replaced.

    Exit status:

    - 0: everything is complete and equals the truth
    - 1: something is missing or differs
    - 2: wrong arguments
    - 70: a bug in harvester
    - 73: the output directory holds something else, or cannot be created
    - 74: reading or writing the output failed
    - 79: another demo writes to the same place
    - 129, 130, 143: stopped by SIGHUP, SIGINT or SIGTERM
    - 141: the reader of standard output went away

    Parameters
    ----------
    out
        the output directory, out if not given.
    records
        listings of each provider, 5000 if not given; other resources in proportion.
    seed
        the same seed gives the same data.
    keep
        leave the providers running afterwards, until Ctrl-C.
    json
        JSON lines also on a terminal.
    debug
        show tracebacks and log everything to standard error.
    """
    settings_of(lambda: Settings(seed=seed, records=records))  # before anything is created
    place = PurePath(out)
    lock = take_over(context, place, msgspec.json.encode({"records": records, "seed": seed}))
    try:
        config = place / STATE / CONFIG
        arguments = [f"--records={records}", f"--seed={seed}", f"--time-scale={TIME_SCALE}", "--port=0"]
        context.narrate(f"Starting simulated providers with {units.number_of(records, 'listing')} each.")
        async with sandbox_process([*arguments, f"--write-config={config}"]) as ready:
            context.narrate(f"Harvesting {', '.join(ready.providers)} from {ready.url} into {place}/")
            settings = context.api.load_config(
                config, overrides=[f"out={place}"], ports=replace(context.ports, environment={})
            )
            status = await harvest(
                context, settings, Choices(), as_json=json, always_sum_up=True, then="the next demo begins anew"
            )
            if status in {0, 1}:
                context.narrate("Comparing every record with what was served.")
                report = await context.api.verify(place, against=ready.url, ports=context.ports)
                write_checks(report, context.narration, only_differences=True)
                status = status or (0 if report.matches else 1)
            if status == 0:
                _tell_next_steps(context, place)
            if keep and status in {0, 1}:
                await _stay(context, ready, config)
    finally:
        lock.release()
    return status


def take_over(context: Context, place: PurePath, marker: bytes) -> FileLock:
    """Make *place* the directory of this demo: empty, marked and locked.

    Raises:
        CannotCreate: it holds a harvest, or anything else that no demo has put there; nothing was touched.
        Locked: another demo runs in it.
    """
    fs = context.ports.fs
    state = place / STATE
    names = fs.names(place)
    ours = fs.exists(state / MARKER)
    if not ours and set(names) - {STATE}:  # ``plan`` and ``probe`` write down there what they have sent
        raise CannotCreate(
            f"{place} is not empty and not from an earlier demo, so it is left alone. "
            "Name another directory: harvester demo --out DIRECTORY"
        )
    fs.make_directory(place)
    fs.make_directory(state, private=True)
    lock = fs.lock(state / LOCK)
    fs.replace(state / MARKER, marker)  # first: a demo that is killed while it clears up is still known as one
    for name in names:
        if name.startswith("source="):
            fs.remove_tree(place / name)
    for path in tuple(fs.walk(state)):
        # What was spent of a real quota is never forgotten, wherever it is written down.
        if ours and path.name not in {MARKER, LOCK} and not path.name.startswith("quota"):
            fs.remove(path)
    return lock


def _tell_next_steps(context: Context, place: PurePath) -> None:
    glob = f"{place}/source=*/resource=Property/**/*.ndjson.zst"
    context.narrate("")
    context.narrate("What now:", "bold")
    context.narrate(f"  read it     duckdb -c \"from '{glob}' select source, count(*) group by source\"")
    context.narrate(f"  check it    harvester verify {place}")
    context.narrate(f"  look at it  harvester status {place}")
    context.narrate("  rehearse    harvester sandbox --write-config sandbox.toml   and, beside it:")
    context.narrate("              harvester run -c sandbox.toml")
    context.narrate("  for real    harvester providers   lists what a harvester.toml needs")


async def _stay(context: Context, ready: SandboxReady, config: PurePath) -> None:
    context.narrate(f"The providers stay at {ready.url} until Ctrl-C. Their configuration is {config}.")
    stop = anyio.Event()
    with stopping_on_signals(stop, announcement=""):
        await stop.wait()
