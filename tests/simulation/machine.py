"""The machine that harvests: its clock, its disk, its chance. It may crash, and start again on what survived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from random import Random
from tempfile import TemporaryDirectory

from harvester.api.ports import Ports
from harvester.contracts import Fs
from harvester.store.files import DiskFs
from tests.fakes.clock import SeededRng
from tests.fakes.fs import MemoryFs
from tests.fakes.loop import LoopClock

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class MachineClock(LoopClock):
    """Wall time that can be moved; durations are the loop's, whatever the wall says."""

    def __init__(self, start: datetime = NOON) -> None:
        super().__init__(start)
        self.moved = 0.0  # seconds the wall clock was moved by
        self.shortest = 0.0  # the least that anybody wanted to sleep; negative is a mistake (FAULTS C01)

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.moved)

    def jump(self, seconds: float) -> None:
        """Move the wall clock (FAULTS C01)."""
        self.moved += seconds

    async def sleep(self, seconds: float) -> None:
        self.shortest = min(self.shortest, seconds)
        await super().sleep(seconds)


class LoopbackResolver:
    """Every name is this machine."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        return ("127.0.0.1",)


class Machine:
    """Where the client runs. ``crash`` takes away what was not synced; ``ports`` is what a process is given."""

    out = PurePath("/out")

    def __init__(self, chance: Random) -> None:
        """*chance* decides what a crash leaves and gives each process its own seed."""
        self._chance = chance
        self.clock = MachineClock()
        self.fs = MemoryFs(chance.getrandbits(32))
        self._real_disk: DiskFs | None = None

    @property
    def files(self) -> Fs:
        """The disk in use."""
        return self._real_disk if self._real_disk is not None else self.fs

    def ports(self) -> Ports:
        """The outside of one process: a new one draws other jitter and other names than the one before."""
        return Ports(
            clock=self.clock,
            rng=SeededRng(self._chance.getrandbits(32)),
            resolver=LoopbackResolver(),
            fs=self.files,
            environment={},
            keeps_state=self._real_disk is not None,
        )

    @contextmanager
    def with_real_disk(self) -> Iterator[None]:
        """Files in a temporary directory, and the ledger of the quota among them: it outlives a process."""
        with TemporaryDirectory(prefix="harvester-simulation-") as directory:
            self.out = PurePath(directory) / "out"
            self._real_disk = DiskFs(SeededRng(self._chance.getrandbits(32)))
            yield

    def crash(self) -> None:
        """Lose power: the disk is what a start would find now."""
        self.fs = self.fs.crash(self._chance.getrandbits(32))
