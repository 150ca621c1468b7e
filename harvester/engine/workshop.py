"""What every walk of one resource's run shares, and what takes their pages."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

import anyio

from harvester.contracts import Clock, Fs, Pager, Rng, Sink, Transport
from harvester.engine.fetched import Fetched
from harvester.engine.quarantine import Quarantine
from harvester.engine.sieve import Sieve, Sifted
from harvester.engine.source import Source
from harvester.model import PageRequest, Walk
from harvester.store.shards import Compression, ShardEntry


class Intake(Protocol):
    """Takes the pages of one walk, one after another, and makes what it took durable when asked."""

    async def take(self, walk: Walk, pager: Pager, fetched: Fetched) -> Sifted:
        """Write one page. Returns what became of it; ``rejected`` are those that are new in the run's quarantine."""
        ...

    @property
    def open_disk_bytes(self) -> int:
        """Bytes since the last ``seal``, an estimate."""
        ...

    async def seal(self) -> tuple[ShardEntry, ...]:
        """Make everything taken so far durable; the shards since the previous call, for a commit."""
        ...

    async def abandon(self) -> None:
        """Drop what is not sealed. Never fails."""
        ...


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """What every walk of one resource's run shares."""

    source: Source
    transport: Transport
    directory: PurePath  # of the run
    fs: Fs
    clock: Clock
    rng: Rng
    sink: Sink
    executor: Executor  # one thread: compression, hashing and fsync happen there, in order
    compression: Compression
    shard_bytes: int
    commit_seconds: float
    fingerprint: str
    sieve: Sieve
    stop: anyio.Event
    quarantine: Quarantine
    count: Callable[[Walk], PageRequest] | None
    # Makes the intake of a walk that has committed so often; None: into shards.
    intake: Callable[[Walk, Workshop, int], Intake] | None = None
