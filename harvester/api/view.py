"""The current state of a resource, over all its runs: as lines, or as a file of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath

from msgspec import Struct

from harvester.api.ports import Ports
from harvester.contracts import Fs
from harvester.engine.sets_view import keep_current_sets, living_parents
from harvester.engine.tables import check_installed, write_duckdb, write_parquet
from harvester.engine.view import CurrentState, Layers, layers_of
from harvester.errors import ArgumentError
from harvester.model import Resource
from harvester.store import layout
from harvester.store.manifest import read_manifest
from harvester.store.prepare import prepare_output
from harvester.store.runs import RunDirectory, find_all_runs, runs_in

FORMS = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".parquet": "parquet",
    ".duckdb": "duckdb",
}
"""What a file becomes, by its suffix."""

_BATCH = 1 << 20  # bytes written at a time


class ViewReport(Struct, frozen=True, kw_only=True):
    """What went into a current state, and what it holds."""

    source: str
    resource: str
    runs: tuple[str, ...]  # the ground first
    records: int
    tombstones: int  # keys that are proven gone
    superseded: int  # records that a later or higher version replaced
    ended: int = 0  # related records that are in no current set of a record that there is
    notes: tuple[str, ...] = ()  # what a reader has to know: runs that are not complete
    target: str = ""  # the file written; "": none

    @property
    def whole(self) -> bool:
        """Whether it is all there is, as far as the runs can tell."""
        return not self.notes


def view(
    out: Path | PurePath | str,
    resource: str,
    *,
    source: str | None = None,
    to: Path | PurePath | str | None = None,
    write: Callable[[bytes], object] | None = None,
    ports: Ports | None = None,
) -> ViewReport:
    """The latest version of each key of *resource* over all finished runs in *out*, minus what is proven gone.

    Args:
        source: needed where several sources have such a resource.
        to: a file to write: NDJSON, Parquet or DuckDB by its suffix. An existing DuckDB file gets one table more, or
            another one in the place of the table of that resource; any other file must not exist.
        write: takes the lines, many at a time, each with its line feed.
    Raises:
        ArgumentError: no such resource, another suffix, the file exists, DuckDB is not installed.
        StorageError: a shard is damaged, a file cannot be written, or runs are taken out by something else meanwhile.
        Locked: another view of *out* is under way.
    """
    ports = ports or Ports()
    fs, root = ports.fs, PurePath(out)
    target = None if to is None else PurePath(to)
    form = "" if target is None else _form(fs, target)
    name, _ = _runs_of(fs, root, resource, source)  # refused before anything is written
    prepare_output(fs, root)

    def layers_now() -> Layers:
        return layers_of(fs, _runs_of(fs, root, resource, name)[1])

    with current_state(fs, root, layers_now) as (state, layers, scratch):
        if write is not None:
            for batch in _batches(state.lines()):
                write(batch)
        if target is not None:
            _write_file(fs, state, target, form, resource, scratch)
    return ViewReport(
        source=name,
        resource=resource,
        runs=tuple(run.name for run in layers.runs),
        records=state.records,
        tombstones=state.tombstones,
        superseded=state.superseded,
        ended=state.ended,
        notes=(*layers.notes, *state.notes),
        target="" if target is None else str(target),
    )


def _form(fs: Fs, target: PurePath) -> str:
    form = FORMS.get(target.suffix.lower())
    if form is None:
        raise ArgumentError(f"{target}: name a file that ends in {', '.join(FORMS)}")
    if form != "ndjson":
        check_installed()
    if form != "duckdb" and fs.exists(target):
        raise ArgumentError(f"{target} exists; name another file, or remove it")
    if not fs.exists(target.parent):
        raise ArgumentError(f"there is no directory {target.parent}")
    return form


def _runs_of(fs: Fs, out: PurePath, resource: str, source: str | None) -> tuple[str, Sequence[RunDirectory]]:
    """The source that has *resource*, and its finished runs of it, oldest first."""
    dirname = resource.replace("/", ".")
    runs: dict[str, list[RunDirectory]] = {}
    known: dict[str, RunDirectory] = {}
    for run in find_all_runs(fs, out):
        owner = run.path.parent.parent.name.removeprefix("source=")
        held = run.path.parent.name.removeprefix("resource=")
        if run.finished and source in (None, owner):
            known[held] = run
            if held == dirname:
                runs.setdefault(owner, []).append(run)
    if not runs:
        has = f"; there is {', '.join(_names(fs, known))}" if known else ""
        raise ArgumentError(f"{out} holds no finished run of {resource!a}{has}")
    if len(runs) > 1:
        raise ArgumentError(f"several sources have {resource!a}: name one of {', '.join(runs)} with --source")
    return next(iter(runs.items()))


def _names(fs: Fs, known: Mapping[str, RunDirectory]) -> list[str]:
    """The resources as their provider names them, slashes and all: so they are asked for."""
    manifests = {name: read_manifest(fs, run.path) for name, run in known.items()}
    return sorted(name if manifest is None else manifest.resource for name, manifest in manifests.items())


@contextmanager
def current_state(
    fs: Fs, out: PurePath, layers_now: Callable[[], Layers]
) -> Iterator[tuple[CurrentState, Layers, PurePath]]:
    """The state that some layers amount to, these, and an empty directory for what is made of it. One at a time.

    Args:
        layers_now: looks which ones there are. Called when nobody can fold runs into one any more: a list that is
            older than that may name runs that are gone, and lack the one that they became.
    Raises:
        StorageError: a shard is damaged.
        Locked: another process has one open.
    """
    with _scratch(fs, out) as scratch:
        layers = layers_now()
        state = CurrentState(fs, layers, scratch)
        state.settle()
        _keep_current_sets(fs, state, layers, scratch)
        yield state, layers, scratch


def _keep_current_sets(fs: Fs, state: CurrentState, layers: Layers, scratch: PurePath) -> None:
    """Where the records are sets of another resource's: only those in current sets of records that there are."""
    newest = next((manifest for manifest in reversed(layers.manifests) if manifest.relation is not None), None)
    relation = newest.relation if newest is not None else None
    if newest is None or relation is None:
        return
    resource = Resource(name=newest.resource, key=newest.key, relation=relation)
    parents = layers.runs[-1].path.parent.with_name(f"resource={relation.parent.replace('/', '.')}")
    owners = layers_of(fs, runs_in(fs, parents))
    if not owners.runs:  # nobody can tell which of them there are
        keep_current_sets(fs, state, layers, resource, scratch, None)
        return
    room = scratch / "parents"
    fs.make_directory(room, private=True)
    living = CurrentState(fs, owners, room)
    living.settle()
    keep_current_sets(fs, state, layers, resource, scratch, living_parents(living, relation))


@contextmanager
def _scratch(fs: Fs, out: PurePath) -> Iterator[PurePath]:
    """An empty directory for one view at a time; what a killed one left is removed by the next."""
    directory = layout.state_directory(out) / "view"
    held = fs.lock(layout.state_directory(out) / layout.VIEW_LOCK)
    try:
        fs.remove_tree(directory)
        fs.make_directory(directory, private=True)
        yield directory
    finally:
        fs.remove_tree(directory)
        held.release()


def _write_file(fs: Fs, state: CurrentState, target: PurePath, form: str, resource: str, scratch: PurePath) -> None:
    if form == "ndjson":
        part = target.with_name(target.name + layout.PART)
        _write_lines(fs, state, part)
        fs.rename(part, target)
        return
    if not state.records:
        raise ArgumentError(f"{resource} holds no record now, and a table needs one to know its columns")
    lines = scratch / "lines.ndjson"
    longest = _write_lines(fs, state, lines)
    if form == "parquet":
        part = target.with_name(target.name + layout.PART)
        fs.remove(part)
        write_parquet(lines, part, scratch, longest=longest)
        fs.rename(part, target)
    else:
        write_duckdb(lines, target, resource, scratch, longest=longest)


def _write_lines(fs: Fs, state: CurrentState, path: PurePath) -> int:
    """Write the lines to *path*. Returns the bytes of the longest one."""
    longest = 0

    def measured(lines: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal longest
        for line in lines:
            longest = max(longest, len(line))
            yield line

    fs.remove(path)
    file = fs.create(path)
    try:
        for batch in _batches(measured(state.lines())):
            file.write(batch)
        file.sync()
    finally:
        file.close()
    return longest


def _batches(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Lines with their feeds, about a mebibyte at a time."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting += (line, b"\n")
        size += len(line)
        if size >= _BATCH:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)
