"""The commit protocol under loss of power: recovery holds exactly what the commits claim (FAULTS F05, F08, R01)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.errors import StorageError
from harvester.store.commits import Commit, CommitLog
from harvester.store.manifest import read_manifest
from harvester.store.runs import tidy
from harvester.store.shards import Compression, ShardWriter, read_lines
from harvester.store.verify import verify_run
from tests.fakes.clock import SeededRng
from tests.fakes.executors import InlineExecutor
from tests.fakes.fs import MemoryFs, PowerLoss
from tests.store.harvest import RUN, commit, finish, seal

TOTAL = 12  # records of the provider


@dataclass
class Attempt:
    """What one attempt was told to be safe before its machine stopped."""

    acknowledged: list[Commit] = field(default_factory=list)
    finished: bool = False


def _line(number: int) -> bytes:
    return b'{"ListingKey":"%d"}' % number


def _committed(commits: tuple[Commit, ...]) -> int:
    return commits[-1].tally.records if commits else 0


async def _harvest(fs: MemoryFs, seed: int, attempt: Attempt, steps: str) -> None:
    """Resume and go on to the end: what the engine does, in one loop.

    Args:
        steps: w writes a record, s seals and commits; taken in turn, over and over.
    """
    fs.make_directory(RUN)
    log = CommitLog(fs, RUN, "w00", SeededRng(seed))
    commits = log.load()
    tidy(fs, RUN, {entry.path for one in commits for entry in one.add})
    if read_manifest(fs, RUN) is not None:
        attempt.finished = True
        return
    written = _committed(commits)
    writer = ShardWriter(
        fs,
        SeededRng(seed + 1),
        RUN,
        walk="w00",
        compression=Compression.NONE,
        target_bytes=60,
        executor=InlineExecutor(),
    )
    try:
        while written < TOTAL:
            for step in steps:
                if step == "w" and written < TOTAL:
                    await writer.write([_line(written) + b"\n"], 1, None, None)
                    written += 1
                elif step == "s":
                    attempt.acknowledged.append(commit(log, await writer.seal(), records=written))
        attempt.acknowledged.append(commit(log, await writer.seal(), records=written, done=True))
    finally:
        await writer.abandon()
    commits = log.load()
    shards = [entry for one in commits for entry in one.add]
    tidy(fs, RUN, {entry.path for entry in shards})
    finish(fs, shards)
    attempt.finished = True


def _check_recovery(fs: MemoryFs, attempt: Attempt) -> None:
    """Nothing acknowledged is lost, and the rows of the commits are exactly those they claim."""
    commits = CommitLog(fs, RUN, "w00", SeededRng(9)).load()
    assert len(attempt.acknowledged) <= len(commits)
    ids = {one.commit_id for one in commits}
    assert all(one.commit_id in ids for one in attempt.acknowledged)
    held = 0
    for one in commits:
        for entry in one.add:
            lines = list(read_lines(fs, RUN / entry.path))
            assert lines == [_line(held + number) for number in range(entry.rows)]
            held += entry.rows
        assert held == one.tally.records
    if attempt.finished:
        assert verify_run(fs, RUN).matches
    if read_manifest(fs, RUN) is not None:
        assert held == TOTAL


async def _attempt(fs: MemoryFs, seed: int, power: int | None, steps: str) -> Attempt:
    attempt = Attempt()
    fs.disk.power = power
    with contextlib.suppress(PowerLoss):
        await _harvest(fs, seed, attempt, steps)
    return attempt


async def test_a_stop_inside_any_system_call_loses_nothing_that_was_acknowledged() -> None:
    """Every system call of a small harvest is the last one, once; then the run is resumed to its end."""
    steps = "wws"
    whole = MemoryFs()
    assert (await _attempt(whole, 0, None, steps)).finished
    calls = whole.disk.calls.total()
    assert calls > 100
    for power in range(calls):
        fs = MemoryFs()
        attempt = await _attempt(fs, 0, power, steps)
        assert not attempt.finished
        after = fs.crash(power)
        _check_recovery(after, attempt)
        resumed = await _attempt(after, 5, None, steps)
        assert resumed.finished
        _check_recovery(after, resumed)


@pytest.mark.parametrize("seed", range(6))
def test_what_was_read_as_committed_stays_committed(seed: int) -> None:
    """FAULTS F05: a process was killed between the name of its commit and the sync; we resume, then power is lost."""
    fs = MemoryFs()
    log = CommitLog(fs, RUN, "w00", SeededRng())
    commit(log)
    _kill_at_next_sync(fs, "/w00", lambda: commit(log, done=True))
    read = CommitLog(fs, RUN, "w00", SeededRng()).load()
    assert read[-1].done
    assert CommitLog(fs.crash(seed), RUN, "w00", SeededRng()).load() == read


@pytest.mark.parametrize("seed", range(6))
def test_what_was_read_as_finished_stays_finished(seed: int) -> None:
    """FAULTS F05: the same for the manifest."""
    fs = MemoryFs()
    entry = seal(fs, [_line(0)])
    _kill_at_next_sync(fs, RUN.name, lambda: finish(fs, [entry]))
    manifest = read_manifest(fs, RUN)
    assert manifest is not None
    assert read_manifest(fs.crash(seed), RUN) == manifest


def _kill_at_next_sync(fs: MemoryFs, directory: str, act: Callable[[], object]) -> None:
    """End *act* where it would sync *directory*: the new name is there, and not durable."""
    synced = fs.sync_directory

    def killed(path: PurePath) -> None:
        assert path.name == directory.removeprefix("/")
        raise PowerLoss

    fs.sync_directory = killed  # type: ignore[method-assign]
    with pytest.raises(PowerLoss):
        act()
    fs.sync_directory = synced  # type: ignore[method-assign]


async def test_a_kill_after_any_system_call_then_a_loss_of_power() -> None:
    """FAULTS R01, F05: what a killed process had made visible but not durable is not trusted before it is."""
    for power in range(0, 140, 3):
        fs = MemoryFs()
        killed = await _attempt(fs, 0, power, "ws")
        for more in (10, 30, 60):
            fs.disk.power = None
            _check_recovery(fs, killed)
            second = await _attempt(fs, 5, more, "ws")
        after = fs.crash(power)
        _check_recovery(after, second)


@given(
    crashes=st.lists(st.tuples(st.integers(0, 150), st.none() | st.integers(0, 2**32)), max_size=6),
    steps=st.text("ws", min_size=1, max_size=8).filter(lambda steps: "w" in steps),
)
@settings(deadline=None)
async def test_any_series_of_crashes_ends_in_a_whole_run(crashes: list[tuple[int, int | None]], steps: str) -> None:
    """FAULTS F05, R01: writes, commits, losses of power and (seed None) kills of the process alone, in any order."""
    fs = MemoryFs()
    for number, (power, seed) in enumerate(crashes):
        attempt = await _attempt(fs, number * 10, power, steps)
        fs.disk.power = None
        if seed is not None:
            fs = fs.crash(seed)
        _check_recovery(fs, attempt)
    last = await _attempt(fs, 99, None, steps)
    assert last.finished
    _check_recovery(fs, last)
    assert verify_run(fs, RUN).rows == TOTAL


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("operation", ["open", "write", "fsync", "close", "rename", "link"])
async def test_a_failing_disk_stops_the_walk_and_the_next_run_goes_on(operation: str, seed: int) -> None:
    """FAULTS F01 to F04: an error at any place, then a loss of power, then free space and a new run."""
    for nth in range(1, 12, 2):
        fs = MemoryFs()
        fs.fail(operation, nth=nth, times=None)
        attempt = Attempt()
        with contextlib.suppress(StorageError):
            await _harvest(fs, 0, attempt, "wws")
        assert fs.disk.open_files == 0
        after = fs.crash(seed)
        _check_recovery(after, attempt)
        resumed = await _attempt(after, 5, None, "wws")
        assert resumed.finished
        _check_recovery(after, resumed)
