"""Where a harvest writes, and how each of its resources ended."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import PurePath

import anyio

from harvester.contracts import Clock, Fs, Rng, Sink
from harvester.engine.run_memory import RunMemory
from harvester.errors import HarvesterError
from harvester.model import Phase
from harvester.store.shards import Compression


@dataclass(frozen=True, kw_only=True)
class Site:
    """Where and with what a harvest writes; shared by all its resources."""

    out: PurePath
    fs: Fs
    clock: Clock
    rng: Rng
    sink: Sink
    executor: Executor
    compression: Compression
    shard_bytes: int
    commit_seconds: float
    stop: anyio.Event
    mode: str = Phase.FULL  # or "delta", "sweep"; "auto": delta where there is a complete run to go on from
    whole_records: bool = False  # a sweep compares what records say, not only keys and times
    most_gone: float = 0.2  # share of its keys that a sweep may take for deleted
    prove: bool = False  # list the keys of every resource once it has been read, and fetch what is missing
    keys_on_disk: bool = True  # False: the key index stays in memory (simulations)
    lenient: bool = False  # a delta or sweep of what has no ground reads everything, instead of being refused
    memory: RunMemory | None = None  # of what finished runs tell, for a process that harvests again and again
    renews: bool = False  # a run that found nothing new leaves a renewal behind, and no directory


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a resource ended. *error* is what stopped it; None when it finished or was interrupted."""

    resource: str
    verdict: str  # complete | incomplete | failed | interrupted
    reason: str = ""
    error: HarvesterError | None = None
    mode: str = ""  # what was done: full | delta | sweep; "": nothing was begun
    watermark: str | None = None  # where the next delta starts, if this run has finished; the provider's text
    changes: int = 0  # records and tombstones it left on disk that earlier runs do not hold
    held_in: str = ""  # the earlier run that holds its records, where this one found them unchanged; "": its own
