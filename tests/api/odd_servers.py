"""Servers with oddities by chance, whose rows come and go while they are read, harvested through the probe.

A run that is called complete must hold every row that was there from its beginning to its end; another one must say
what it cannot know. Every fourth run is to prove itself. ``python -m tests.api.odd_servers SEEDS [FROM]`` plays as
many as wanted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import harvester
from harvester.config.load import parse_config
from harvester.events import Event, Probed
from harvester.sandbox.server import running_sandbox
from harvester.sandbox.settings import Settings
from harvester.store.files import DiskFs
from harvester.store.shards import read_lines
from tests.fakes.clock import SeededRng

LINKS = ("token", "offset", "hidden", "page", "key", "none")
RARE = (
    *("ignores-filter", "ignores-orderby", "ignores-top", "ignores-select", "ignores-count", "ignores-skip"),
    *("refuses-filter", "refuses-orderby", "refuses-count", "refuses-select", "refuses-top", "refuses-skip"),
    *("order-time", "order-chance", "count-wrong", "top-ends", "top-max-150"),
)


@dataclass(frozen=True)
class Play:
    """What became of one harvest."""

    words: str
    proved: bool  # its run was to prove that nothing is missing
    walk: str  # as the probe chose it
    doubt: str
    verdict: str
    reason: str
    lost: int  # living rows that are not held
    gone: int  # rows that were there at the beginning and not at the end: something moved


def server_of(seed: int) -> str:
    """Words for a server; about two of three have something rare."""
    rng = Random(f"odd:{seed}")
    words = [f"links-{rng.choice(LINKS)}", f"cap-{rng.choice((40, 100, 170, 500))}", f"churn-{rng.choice((2, 3, 5))}"]
    words += rng.sample(RARE, rng.choice((0, 0, 1, 1, 2, 3)))
    return ",".join(words)


async def play(seed: int) -> Play:
    """Harvest one server of 900 rows."""
    words, proved = server_of(seed), seed % 4 == 3
    options = {"odata_server": {"servers": [words]}}
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory) / "out"
        async with running_sandbox(Settings(seed=seed, records=900, quota=False, options=options)) as sandbox:
            simulator = sandbox.simulator("odata_server")
            before = _keys(simulator.truth("Property"))
            text = (
                f'out = "{out}"\nprove = {str(proved).lower()}\n'
                '[sources.odd]\nprovider = "odata"\ntoken = "sandbox-odata-server"\n'
                f'base_url = "{sandbox.url}/odata_server/{words}"\nresources = ["Property"]\n'
            )
            told: list[Probed] = []

            def sink(event: Event) -> None:
                if isinstance(event, Probed):
                    told.append(event)

            report = await harvester.run(parse_config(text), sink=sink)
            living = before & _keys(simulator.truth("Property"))
        (row,) = report.resources
        return Play(
            words=words,
            proved=proved,
            walk=told[0].walk if told else "",
            doubt=told[0].doubt if told else "",
            verdict=row.verdict,
            reason=row.reason,
            lost=len(living - _held(out)),
            gone=len(before) - len(living),
        )


def _keys(records: object) -> set[str]:
    return {json.loads(record)["ListingKey"] for record in records}  # type: ignore[attr-defined]


def _held(out: Path) -> set[str]:
    fs = DiskFs(SeededRng(1))
    return _keys(line for path in out.glob("source=*/resource=*/run=*/part-*") for line in read_lines(fs, path))


def problem(played: Play) -> str:
    """Why *played* breaks the first promise; "" when it does not."""
    if played.verdict == "complete" and played.lost:
        return f"complete, and {played.lost} living rows are missing"
    if played.verdict != "complete" and not played.reason:
        return f"{played.verdict} without a reason"
    if played.verdict == "complete" and played.doubt and not played.proved:
        return f"complete in spite of the doubt: {played.doubt}"
    return ""


def main(arguments: Sequence[str]) -> int:
    """Play seeds one after another; the status is the number of those that went wrong, at most 1."""
    number, first = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    wrong, ends = 0, Counter[str]()
    for seed in range(first, first + number):
        played = asyncio.run(play(seed))
        kind = f"{' in doubt' if played.doubt else ''}{' proved' if played.proved else ''}"
        ends[f"{played.walk or '-'} {played.verdict}{kind}"] += 1
        if told := problem(played):
            wrong += 1
            print(f"seed {seed}: {told}\n  {played}")
        elif played.verdict == "failed":
            print(f"seed {seed}: failed, named: {played.words}: {played.walk}: {played.reason[:160]}")
    print(f"{number} harvests, {wrong} wrong; {', '.join(f'{name}: {times}' for name, times in sorted(ends.items()))}")
    return min(wrong, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
