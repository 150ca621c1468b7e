"""A ``harvester run`` whose harvest is imagined: a process to send signals to and to close pipes of.

``python -m tests.fakes.harvest_process BEHAVIOUR GRACE [FD]``: ``obeys`` stops when asked, ``talks`` sends events until
asked, ``ignores`` never stops, ``blocks`` holds the loop itself, ``finishes`` is complete when asked. GRACE is in
seconds. A byte is written to the descriptor FD once the harvest has begun, for those who read no output.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from dataclasses import replace

import anyio

from harvester.cli import signals
from harvester.cli.calls import REAL
from harvester.cli.context import process_context
from harvester.cli.main import finish, invoke
from harvester.config.schema import Config, SourceConfig
from harvester.contracts import Sink
from harvester.report.tally import Report, Tally
from tests.fakes import happenings as h

BEHAVIOUR = sys.argv[1]


async def imagined_run(_config: Config, *, sink: Sink, stop: anyio.Event, **_choices: object) -> Report:
    tally = Tally()
    for event in (h.run_started(), h.started()):
        tally(event)
        sink(event)
    if len(sys.argv) > 3:
        os.write(int(sys.argv[3]), b"!")
    while BEHAVIOUR == "talks" and not stop.is_set():
        sink(h.page())
        await asyncio.sleep(0)
    if BEHAVIOUR == "ignores":
        await anyio.sleep_forever()
    if BEHAVIOUR == "blocks":
        threading.Event().wait()
    await stop.wait()
    complete = BEHAVIOUR == "finishes"
    for last in (h.finished(verdict="complete" if complete else "interrupted"), h.run_finished(0 if complete else 130)):
        tally(last)
        sink(last)
    return tally.report()


if __name__ == "__main__":
    signals.GRACE = float(sys.argv[2])
    config = Config(out="the-place", sources={"ims": SourceConfig()})
    api = replace(REAL, run=imagined_run, load_config=lambda *_, **__: config)
    context = replace(process_context(), api=api)
    finish(context, invoke(["run"], context))
