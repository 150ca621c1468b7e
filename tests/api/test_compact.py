"""Fewer and larger files, which say the same: to people, to other programs, and to the next run."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path, PurePath

import pytest
from msgspec import structs

from harvester.api.compact import CompactReport, compact, compact_in_turn
from harvester.api.locks import lock_inbox
from harvester.api.ports import Ports
from harvester.api.turns import lock_file
from harvester.api.view import view
from harvester.contracts import Fs
from harvester.engine.foldable import foldable
from harvester.engine.held import Held
from harvester.engine.state import grounded, load_state
from harvester.errors import ArgumentError, Locked, StorageError
from harvester.model import Relation, Resource, Walk
from harvester.planning.delta import standing_of
from harvester.store.current import CurrentRun, begin_current
from harvester.store.documents import encode_document, read_document
from harvester.store.key_table import PARTS, KeyTable
from harvester.store.layout import data_kind, manifest_path, name_behind, state_directory
from harvester.store.lines import read_lines
from harvester.store.manifest import Manifest, newest_of, read_manifest, write_manifest
from harvester.store.prepare import prepare_output
from harvester.store.runs import find_runs
from harvester.store.verify import verify_run
from tests.fakes.clock import FakeClock, JumpingClock, SeededRng
from tests.fakes.fs import MemoryFs, PowerLoss
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import Row, listings, offices
from tests.fakes.lakeside import PROVIDER

OUT = Path("/out")
HOUR = 3600.0
EVERY = 11  # system call is the last one; each of them takes minutes
PROPERTY = next(each for each in PROVIDER.resources if each.name == "Property")


class Life:
    """A lake whose replica is kept for some days: full, deltas, a sweep with deletions, and what came again."""

    def __init__(self, fs: Fs | None = None, out: Path = OUT, rows: int = 45) -> None:
        self.fs: Fs = MemoryFs() if fs is None else fs
        self.bench = Bench(out, {"Property": listings(rows), "Office": offices(3)}, fs=self.fs, at_risk=1)
        self.rows = self.bench.server.tables["Property"]

    async def begin(self) -> None:
        await self.run("full")

    async def live(self) -> None:
        self.change("000003", "000041", "100000")
        await self.run("delta")
        self.rows[:] = [row for row in self.rows if row["ListingKey"] not in ("000003", "000010")]
        await self.run("sweep")
        self.change("000010", "000020", price=5)
        await self.run("delta")
        await self.run("delta")  # nothing has changed

    def change(self, *keys: str, price: int = 1) -> None:
        now = self.bench.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        for key in keys:
            self.rows[:] = [row for row in self.rows if row["ListingKey"] != key]
            self.rows.append({"ListingKey": key, "ModificationTimestamp": now, "ListPrice": price})

    async def run(self, mode: str, *resources: str, verdict: str = "complete") -> None:
        self.bench.clock.advance(HOUR)
        self.bench.mode, self.bench.most_gone = mode, 1.0
        for outcome in (await self.bench.run(*(resources or ("Property",)))).values():
            assert outcome.verdict == verdict, outcome


SEEDS = count(1000)


def ports(fs: Fs) -> Ports:
    """Those of another process each time."""
    clock = FakeClock()
    clock.advance(1e6)
    return Ports(fs=fs, rng=SeededRng(next(SEEDS)), clock=clock, environment={})


def compacted(fs: Fs, out: Path = OUT, **options: object) -> CompactReport:
    return compact(out, ports=ports(fs), **options)  # type: ignore[arg-type]


def directory_of(resource: str = "Property", out: Path = OUT) -> PurePath:
    return PurePath(out) / "source=lake" / f"resource={resource}"


def runs_of(fs: Fs, resource: str = "Property", out: Path = OUT) -> list[tuple[PurePath, Manifest]]:
    runs = find_runs(fs, out, "lake", resource)
    return [(run.path, found) for run in runs if (found := read_manifest(fs, run.path)) is not None]


@dataclass(frozen=True)
class Said:
    """Everything that later runs and readers take from what is on disk."""

    view: list[bytes]
    watermarks: Mapping[str | None, str | None]
    state: dict[bytes, tuple[bytes, bytes]]
    held: dict[bytes, bytes]
    requests: int


def said(fs: Fs, resource: Resource = PROPERTY, out: Path = OUT) -> Said:
    runs = runs_of(fs, resource.name, out)
    standing = standing_of([manifest for _, manifest in runs])
    assert standing is not None
    lines: list[bytes] = []
    view(out, resource.name, write=lines.append, ports=ports(fs))
    ground = grounded(runs)
    held = Held()
    for path, manifest in ground:
        held.load(fs, path, manifest, Walk(id="w00", resource=resource, pager="chain"))
    state: dict[bytes, tuple[bytes, bytes]] = {}
    table = KeyTable.temporary(fs)
    load_state(fs, ground, resource, set(standing.watermarks), table)
    for place in range(PARTS):
        state |= {mark: row for mark, row in table.part(place).items() if row[0]}
    table.close()
    return Said(
        view=sorted(b"".join(lines).splitlines()),
        watermarks=dict(standing.watermarks),
        state=state,
        held=held._versions,
        requests=sum(walk.requests for walk in ground[0][1].walks if walk.phase == "full"),
    )


def problems(fs: Fs, resource: str = "Property", out: Path = OUT) -> list[str]:
    return [each for path, _ in runs_of(fs, resource, out) for each in verify_run(fs, path).problems]


# ------------------------------------------------------------------ merging


async def test_by_default_runs_keep_all_that_they_held_in_fewer_shards() -> None:
    life = Life()
    await life.begin()
    await life.live()
    before, runs = said(life.fs), runs_of(life.fs)
    report = compacted(life.fs)
    row = report.resources[0]
    assert (row.runs_before, row.runs_after) == (5, 5)
    assert row.shards_after < row.shards_before
    assert (said(life.fs), problems(life.fs)) == (before, [])
    for (_, old), (_, new) in zip(runs, runs_of(life.fs), strict=True):
        assert structs.replace(new, shards=old.shards, bytes=old.bytes) == old
    assert not compacted(life.fs).resources[0].changed


async def test_a_dry_run_changes_nothing_and_tells_what_would_be_done() -> None:
    life = Life()
    await life.begin()
    await life.live()
    assert isinstance(life.fs, MemoryFs)
    told = [compacted(life.fs, dry_run=True, fold=fold).resources[0] for fold in (False, True)]
    runs = [run.name for run in find_runs(life.fs, OUT, "lake", "Property")]
    assert len(runs) == 5
    done = compacted(life.fs.crash(1), fold=False).resources[0]
    assert (told[0].runs_after, told[0].shards_after) == (done.runs_after, done.shards_after)
    done = compacted(life.fs.crash(1), fold=True).resources[0]
    assert (told[1].runs_after, told[1].shards_after, told[1].base) == (1, 1, done.base)
    assert [run.name for run in find_runs(life.fs, OUT, "lake", "Property")] == runs


# ------------------------------------------------------------------ folding


async def test_a_base_says_all_that_its_runs_said_together() -> None:
    life = Life()
    await life.begin()
    await life.live()
    before, runs = said(life.fs), [manifest for _, manifest in runs_of(life.fs)]
    row = compacted(life.fs, fold=True).resources[0]
    assert (row.runs_before, row.runs_after, row.shards_after, row.why_not) == (5, 1, 1, "")
    assert (said(life.fs), problems(life.fs)) == (before, [])
    (path, base), *others = runs_of(life.fs)
    assert not others
    assert path.name == f"run={runs[-1].run}-1" == f"run={row.base}"
    assert (base.mode, base.verdict, base.records) == ("full", "complete", len(before.view))
    assert base.keys is not None
    assert base.keys.number == len(before.view)
    assert base.started == runs[0].started
    assert base.finished == runs[-1].finished
    assert base.sweep == runs[2].sweep is not None
    assert base.folded is not None
    assert (base.folded.first, base.folded.last, base.folded.runs) == (runs[0].run, runs[-1].run, 5)
    assert base.folded.requests == sum(each.requests for each in runs)
    assert (base.folded.tombstones, base.folded.swept) == (1, runs[2].run)
    assert not list(life.fs.walk(state_directory(OUT) / "compact"))


async def test_deltas_and_sweeps_go_on_from_a_base_as_from_its_runs() -> None:
    both = []
    for fold in (False, True):
        life = Life()
        await life.begin()
        await life.live()
        if fold:
            compacted(life.fs, fold=True)
        life.bench.server.asked.clear()
        life.change("000001", "200000")
        await life.run("delta")
        asked = list(life.bench.server.asked)
        life.rows[:] = [row for row in life.rows if row["ListingKey"] not in ("200000", "000044")]
        await life.run("sweep")
        both.append((asked, list(life.bench.server.asked), said(life.fs)))
        assert problems(life.fs) == []
    assert both[0] == both[1]


async def test_a_base_is_folded_again_with_what_came_on_top_of_it() -> None:
    life = Life()
    await life.begin()
    for _ in range(3):
        await life.live()
        before = said(life.fs)
        compacted(life.fs, fold=True)
        assert (said(life.fs), problems(life.fs)) == (before, [])
    ((_, base),) = runs_of(life.fs)
    assert base.folded is not None
    assert base.folded.runs == 13
    assert len(before.view) == len(life.rows)


async def test_the_newest_runs_may_be_kept() -> None:
    life = Life()
    await life.begin()
    await life.live()
    before, runs = said(life.fs), [manifest.run for _, manifest in runs_of(life.fs)]
    compacted(life.fs, fold=True, keep=2)
    assert [manifest.run for _, manifest in runs_of(life.fs)] == [f"{runs[2]}-1", *runs[3:]]
    assert (said(life.fs), problems(life.fs)) == (before, [])
    assert not compacted(life.fs, fold=True, keep=2).resources[0].changed


async def test_runs_below_the_newest_full_one_go_when_folding() -> None:
    life = Life()
    await life.begin()
    await life.live()
    await life.run("full")
    before = said(life.fs)
    row = compacted(life.fs, fold=True).resources[0]
    assert (row.runs_before, row.runs_after, row.base) == (6, 1, "")
    assert (said(life.fs), problems(life.fs)) == (before, [])


async def test_each_value_of_a_parent_stands_where_it_stood() -> None:
    life = Life()
    agent = next(each for each in PROVIDER.resources if each.name == "Agent")
    life.bench.server.tables |= {
        f"Office('{office['OfficeKey']}')/Agent": agents(str(office["OfficeKey"]))
        for office in life.bench.server.tables["Office"]
    }
    await life.run("full", "Agent")
    first = sorted(life.bench.server.tables)[0]
    life.bench.server.tables[first][0]["Name"] = "renamed"
    await life.run("delta", "Agent")
    before = said(life.fs, agent)
    assert len(before.watermarks) == 3
    row = next(each for each in compacted(life.fs, fold=True).resources if each.resource == "Agent")
    assert (row.runs_before, row.runs_after) == (2, 1)
    assert (said(life.fs, agent), problems(life.fs, "Agent")) == (before, [])
    await life.run("delta", "Agent")
    assert runs_of(life.fs, "Agent")[-1][1].records == 0


def agents(office: str) -> list[Row]:
    return [{"AgentKey": f"{number}", "Name": f"{office} {number}"} for number in range(12)]


# ------------------------------------------------------------------ what is not folded


async def test_an_incomplete_run_that_nothing_made_up_for_is_not_hidden_in_a_base() -> None:
    life = Life()
    await life.begin()
    life.change("000001")
    await life.run("delta")
    life.change("000002")
    life.bench.doubt = "the weather"
    await life.run("delta", verdict="incomplete")
    before, runs = said(life.fs), [manifest.run for _, manifest in runs_of(life.fs)]
    row = compacted(life.fs, fold=True).resources[0]
    assert [manifest.run for _, manifest in runs_of(life.fs)] == [f"{runs[1]}-1", runs[2]]
    assert row.why_not == f"run {runs[2]} is incomplete and not made up for: the weather"
    assert said(life.fs) == before
    life.bench.doubt = ""
    await life.run("delta")
    before = said(life.fs)
    assert compacted(life.fs, fold=True).resources[0].runs_after == 1
    assert said(life.fs) == before


async def test_runs_with_other_settings_are_not_folded_together() -> None:
    life = Life()
    await life.begin()
    life.bench.fingerprints = {"Property": "other"}
    life.bench.doubt = "the weather"
    await life.run("full", verdict="incomplete")
    row = compacted(life.fs, fold=True).resources[0]
    assert row.runs_after == 2
    assert "was made with other settings" in row.why_not


async def test_without_a_complete_full_run_nothing_is_folded() -> None:
    life = Life()
    life.bench.doubt = "the weather"
    await life.run("full", verdict="incomplete")
    assert compacted(life.fs, fold=True).resources[0].why_not == "no full run of it is complete"


async def test_what_an_unfinished_harvest_rests_on_stays() -> None:
    """The harvest goes on under its old name, which must not come to lie below a base."""
    life = Life()
    await life.begin()
    life.change("000001")
    await life.run("delta")
    newest = runs_of(life.fs)[-1][1].run
    begin_current(
        life.fs, OUT, "lake", CurrentRun(run=newest, provider="lakeside", mode="full", resources=("Property",))
    )
    row = compacted(life.fs, fold=True).resources[0]
    assert (row.runs_after, row.why_not.partition(" wait")[0]) == (2, f"run {newest} and later ones")


async def test_a_run_that_has_not_finished_keeps_all_behind_it() -> None:
    life = Life()
    await life.begin()
    life.change("000001")
    await life.run("delta")
    first, second = (path for path, _ in runs_of(life.fs))
    life.fs.remove(manifest_path(first.with_name(first.name)))  # as if it had never ended
    assert foldable(life.fs, directory_of()).runs == ()
    assert compacted(life.fs, fold=True).resources[0].runs_after == 1
    assert life.fs.exists(first)
    assert life.fs.exists(second)


def test_the_name_of_a_base_lies_between_its_last_run_and_the_next() -> None:
    assert name_behind("20260301T120000Z") == "20260301T120000Z-1"
    assert name_behind("20260301T120000Z", "20260301T120000Z-2") == "20260301T120000Z-1"
    assert name_behind("20260301T120000Z-2", "20260301T120000Z-3") == "20260301T120000Z-21"
    assert name_behind("20260301T120000Z", "20260301T120000Z-1") == ""
    assert name_behind("20260301T120000Z-1111") == ""


async def test_damage_stops_it_before_anything_is_changed() -> None:
    """FAULTS F07."""
    life = Life()
    await life.begin()
    await life.live()
    path, manifest = runs_of(life.fs)[1]
    runs = [each for each, _ in runs_of(life.fs)]
    victim = path / manifest.shards[0].path
    lines = list(read_lines(life.fs, victim))
    life.fs.replace(victim, b"".join(line + b"\n" for line in lines))
    with pytest.raises(StorageError, match=victim.name):
        compacted(life.fs, fold=True)
    assert [each for each, _ in runs_of(life.fs)] == runs


async def test_a_base_that_says_something_else_than_was_written_is_not_put_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    life = Life()
    await life.begin()
    await life.live()
    before = said(life.fs)
    write = life.fs.rename

    def corrupting(source: PurePath, target: PurePath) -> None:
        if "compact" in target.parts and target.name.startswith("part-"):
            data = life.fs.read(source)
            life.fs.remove(source)
            file = life.fs.create(source)
            file.write(data[:-1] + bytes([data[-1] ^ 1]))
            file.close()
        write(source, target)

    monkeypatch.setattr(life.fs, "rename", corrupting)
    with pytest.raises(StorageError, match="what was just written cannot be read again"):
        compacted(life.fs, fold=True)
    assert (said(life.fs), problems(life.fs)) == (before, [])


# ------------------------------------------------------------------ locks and names


async def test_it_waits_for_nobody_and_nobody_reads_meanwhile() -> None:
    """FAULTS R09."""
    life = Life()
    await life.begin()
    for name in ("lake.lock", "view.lock"):
        life.fs.make_directory(state_directory(OUT), private=True)
        lock = life.fs.lock(state_directory(OUT) / name)
        with pytest.raises(Locked):
            compacted(life.fs)
        assert compacted(life.fs, dry_run=True).resources
        if name == "lake.lock":
            assert compacted(life.fs, source="lake", held=True).resources
        lock.release()
    assert compacted(life.fs).resources


async def test_what_is_not_there_is_told() -> None:
    life = Life()
    with pytest.raises(ArgumentError, match="holds no harvest"):
        compacted(life.fs)
    await life.begin()
    with pytest.raises(ArgumentError, match="holds nothing of 'pond'; there is lake"):
        compacted(life.fs, source="pond")
    with pytest.raises(ArgumentError, match="holds nothing of 'Agent'"):
        compacted(life.fs, resource="Agent")
    with pytest.raises(ArgumentError, match="not a number of bytes"):
        compacted(life.fs, target="large")
    with pytest.raises(ArgumentError, match="needs fold"):
        compacted(life.fs, keep=1)


async def test_it_waits_while_a_listener_writes_what_came() -> None:
    """A listener holds the source for a moment; whoever holds it without listening is not waited for."""
    life = Life()
    await life.begin()
    prepare_output(life.fs, OUT)
    listening = lock_inbox(life.fs, OUT, "lake")
    writing = life.fs.lock(lock_file(OUT, "lake"))
    own = replace(ports(life.fs), clock=Released(writing.release))
    assert (await compact_in_turn(OUT, fold=True, ports=own)).resources[0].runs_after == 1
    listening.release()
    held = life.fs.lock(lock_file(OUT, "lake"))
    with pytest.raises(Locked):
        await compact_in_turn(OUT, ports=ports(life.fs))
    held.release()


class Released(JumpingClock):
    """While its user sleeps somebody lets go of what they hold."""

    def __init__(self, release: Callable[[], object]) -> None:
        super().__init__()
        self._release = release

    async def sleep(self, seconds: float) -> None:
        self._release()
        await super().sleep(seconds)


# ------------------------------------------------------------------ stopped anywhere


def globbed(fs: Fs) -> tuple[list[bytes], set[bytes]]:
    """What a reader that knows nothing of manifests finds: every record, and the keys of every tombstone."""
    records, gone = [], set()
    for path in fs.walk(OUT):
        if any(part.startswith("source=") for part in path.parts[:3]):
            if data_kind(path.name) == "part":
                records += list(read_lines(fs, path))
            elif data_kind(path.name) == "deleted":
                gone |= {json.loads(line)["key"]["ListingKey"] for line in read_lines(fs, path)}
    return records, gone


async def _lived() -> MemoryFs:
    life = Life(rows=8)
    await life.begin()
    life.change("000001", "100000")
    await life.run("delta")
    life.rows[:] = [row for row in life.rows if row["ListingKey"] not in ("000002", "000003")]
    await life.run("sweep")
    assert isinstance(life.fs, MemoryFs)
    return life.fs


Start = Callable[[], MemoryFs]


@pytest.fixture
async def start() -> Start:
    """The same disk, as often as it is wanted."""
    lived = await _lived()
    return lambda: lived.crash(1)


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "power lost"])
def test_a_stop_inside_any_system_call_changes_nothing_of_what_is_said(start: Start, lost: bool) -> None:
    """FAULTS F04, F05, F08, R01: at every instant the directory amounts to the same, and the next one finishes it."""
    whole = start()
    before, living = said(whole), {json.loads(line)["ListingKey"] for line in said(whole).view}
    calls = whole.disk.calls.total()
    compacted(whole, fold=True)
    calls = whole.disk.calls.total() - calls
    assert calls > 300
    for power in range(0, calls, EVERY):
        fs = start()
        fs.disk.power = power
        with contextlib.suppress(PowerLoss):
            compacted(fs, fold=True)
        fs.disk.power = None
        fs = fs.crash(1000 + power) if lost else _killed(fs)
        assert said(fs) == before
        records, gone = globbed(fs)
        assert set(before.view) <= set(records)
        # Who takes tombstones for the last word on keys that no later run brings sees none that is gone.
        assert {json.loads(line)["ListingKey"] for line in records} - gone <= living
        compacted(fs, fold=True)
        after = fs.crash(3000 + power)
        assert said(after) == before
        assert sorted(globbed(after)[0]) == before.view
        assert len(runs_of(after)) == 1
        assert problems(after) == []


def _killed(fs: MemoryFs) -> MemoryFs:
    """The same disk for another process: what the kernel held of the dead one is gone."""
    for number in list(fs.disk._open):
        fs.disk._forget(number)
    return MemoryFs(next(SEEDS), disk=fs.disk)


def test_a_call_that_fails_leaves_everything_said(start: Start) -> None:
    """FAULTS F01 to F04."""
    before = said(start())
    for operation in ("open", "write", "fsync", "rename", "link", "unlink", "mkdir", "rmdir"):
        for nth in range(1, 40, 3):
            fs = start()
            fs.fail(operation, nth=nth)
            with contextlib.suppress(StorageError):
                compacted(fs, fold=True)
            fs = fs.crash(1000 + nth)
            assert said(fs) == before, f"{operation} {nth}"
            compacted(fs, fold=True)
            assert sorted(globbed(fs)[0]) == before.view


def test_a_fold_that_was_broken_off_is_finished_also_without_folding(start: Start) -> None:
    fs = start()
    nth, runs = 0, [path for path, _ in runs_of(fs)]
    while len(runs_of(fs)) == len(runs):  # until the base is in and its runs are not all out
        nth += 1
        fs = start()
        fs.fail("rename", nth=nth, path="folded/run=")
        with contextlib.suppress(StorageError):
            compacted(fs, fold=True)
    assert len(runs_of(fs)) > 1
    before = said(fs)
    compacted(fs, fold=False)
    assert (said(fs), len(runs_of(fs))) == (before, 1)


def test_a_base_survives_a_reader_of_an_earlier_release(start: Start) -> None:
    """What it is made of is a member of its own, which others skip: to them it is a full run like any other."""
    fs = start()
    compacted(fs, fold=True)
    ((path, base),) = runs_of(fs)
    plain = structs.replace(base, folded=None)
    fs.replace(manifest_path(path), encode_document(plain))
    assert read_document(fs, manifest_path(path), Manifest, frozenset({1})) == plain
    assert problems(fs) == []


async def test_sets_stay_as_they_are_and_their_parents_no_newer_than_they_are() -> None:
    """Related records are brought up to date from the runs of their parents behind one that they name."""
    life = Life()
    await life.begin()
    for key in ("000001", "000002"):
        life.change(key)
        await life.run("delta")
    runs = runs_of(life.fs)
    sets = structs.replace(
        runs[0][1],
        resource="Media",
        relation=Relation(parent="Property", parent_key=("ListingKey",), member="ResourceRecordKey"),
        parent_run=runs[1][1].run,
        shards=(),
        records=0,
    )
    for run in ("20260301T130000Z", "20260302T130000Z"):
        directory = directory_of("Media") / f"run={run}"
        life.fs.make_directory(directory)
        write_manifest(life.fs, directory, structs.replace(sets, run=run))
    rows = {row.resource: row for row in compacted(life.fs, fold=True).resources}
    assert rows["Media"].why_not == "its records are sets of another resource"
    assert rows["Media"].runs_after == 2
    assert [manifest.run for _, manifest in runs_of(life.fs)] == [f"{runs[1][1].run}-1", runs[2][1].run]
    assert newest_of(runs_of(life.fs)[0][1]) == runs[1][1].run


def test_names_that_went_are_durable_before_their_files_go(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS F05, on file systems whose journal does not keep the two directories of a move together."""
    fs, done = start(), list[tuple[str, PurePath]]()
    place = state_directory(OUT) / "compact" / "lake.Property"
    fs.make_directory(place / "folded" / "run=20260301T130000Z")  # of a process that was killed

    def noted(name: str) -> None:
        act = getattr(fs, name)

        def noting(path: PurePath, *more: PurePath) -> None:
            done.append((name, path))
            act(path, *more)

        monkeypatch.setattr(fs, name, noting)

    runs = [path for path, _ in runs_of(fs)]
    for name in ("sync_directory", "remove_tree", "rename"):
        noted(name)
    compacted(fs, fold=True)
    synced = [number for number, each in enumerate(done) if each == ("sync_directory", directory_of())]
    removed = [
        number for number, (name, path) in enumerate(done) if name == "remove_tree" and place in (path, path.parent)
    ]
    moved = [number for number, (name, path) in enumerate(done) if name == "rename" and path in runs]
    assert synced[0] < removed[0]
    assert len(moved) == len(runs)
    after = next(number for number in removed if number > moved[-1])
    assert [number for number in synced if moved[-1] < number < after]
