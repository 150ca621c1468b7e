"""The current state of related records: members of the newest set of each parent, of those parents that there are.

A set ends every record of its parent that it does not name and that no later run has brought. Records that belong to
no parent of the relation are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import PurePath
from struct import Struct

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.decode.members import MemberReader, text_of
from harvester.engine.state import Run
from harvester.engine.view import ENTRY, CurrentState, Layers, Spread, entries_in
from harvester.errors import StorageError
from harvester.model import Relation, Resource
from harvester.store.key_table import KeyTable
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import ShardKind, data_kind
from harvester.store.runs import RunDirectory
from harvester.store.sealed import read_sealed
from harvester.store.set_lines import read_set_line, whole_key

_LIVING, _SET, _MEMBER, _RECORD = range(4)  # kinds of entries, under the fingerprint of a parent
_LINE_BITS = 32
_AT_A_TIME = 1000  # lines
_HALVES = Struct("<qQ")  # of a fingerprint of 16 bytes

Member = tuple[int, int]


def keep_current_sets(
    fs: Fs,
    state: CurrentState,
    layers: Layers,
    resource: Resource,
    scratch: PurePath,
    living: Iterable[bytes] | None,
) -> int:
    """Drop from the settled *state* of *layers* what its sets have ended. Returns how many lines.

    Memory: the members of the sets in one file of 64.

    Args:
        resource: with its relation.
        scratch: an empty directory, for about 45 bytes a record and a member of a set.
        living: fingerprints of the parents that there are; None: all that were ever there.
    """
    relation = resource.relation
    if relation is None:
        return 0
    spread = Spread(fs, scratch)
    for mark in living or ():
        spread.add(ENTRY.pack(mark[:16], 0, _LIVING, 0, 0, 0))
    for entry in _of_sets(fs, layers, resource, relation):
        spread.add(entry)
    for entry in _of_records(state, resource, relation):
        spread.add(entry)
    spread.close()
    before = state.records
    for path in spread.paths:
        for shard, place in _ended(fs, path, everyone=living is None):
            state.drop(shard, place)
        fs.remove(path)
    return before - state.records


def _of_sets(fs: Fs, layers: Layers, resource: Resource, relation: Relation) -> Iterator[bytes]:
    order = 0
    for number, (run, manifest) in enumerate(zip(layers.runs, layers.manifests, strict=True)):
        for shard in manifest.shards:
            if data_kind(shard.path) != ShardKind.SETS:
                continue
            for line in read_sealed(fs, run.path, shard):
                found = read_set_line(line)
                members = found.members
                if members is None:  # its run read all sets together: its own records are the set
                    continue
                order += 1
                try:
                    parent = tuple(found.parent[name] for name in relation.parent_key)
                except KeyError:
                    raise StorageError(f"{run.path / shard.path}: holds a set of another parent.") from None
                mark = _mark(parent)
                yield ENTRY.pack(mark, number, _SET, 0, 0, order)
                for member in members:
                    key = whole_key(resource.key, relation.member, parent[0], member)
                    yield ENTRY.pack(mark, number, _MEMBER, *_HALVES.unpack(_mark(key)), order)


def _of_records(state: CurrentState, resource: Resource, relation: Relation) -> Iterator[bytes]:
    heads = HeadReader(resource)
    owner = MemberReader([relation.member, *([relation.of] if relation.of else [])])
    for run, shard, place, line in state.winners():
        parent, *of = (text_of(value) for value in owner.read(line))
        key = heads.read(line).key
        if parent is None or key is None or (of and of[0] not in {None, relation.parent}):
            continue
        at = shard << _LINE_BITS | place
        yield ENTRY.pack(_mark((parent,)), run, _RECORD, *_HALVES.unpack(_mark(key)), at)


def _ended(fs: Fs, path: PurePath, *, everyone: bool) -> list[tuple[int, int]]:
    """Shard and place of the records in one file that are not in the current sets."""
    living: set[bytes] = set()
    newest: dict[bytes, tuple[int, int]] = {}  # by parent: run and order of its set
    members: dict[bytes, set[Member]] = {}
    records: list[tuple[bytes, int, Member, int]] = []
    for mark, run, kind, first, second, at in entries_in(fs, path):
        if kind == _LIVING:
            living.add(mark)
        elif kind == _SET:
            newest[mark], members[mark] = (run, at), set()
        elif kind == _MEMBER:  # behind its set, in the order of the runs
            members[mark].add((first, second))
        else:
            records.append((mark, run, (first, second), at))
    ended = []
    for mark, run, member, at in records:
        gone = not everyone and mark not in living
        if not gone and mark in newest:
            gone = run <= newest[mark][0] and member not in members[mark]
        if gone:
            ended.append((at >> _LINE_BITS, at & ((1 << _LINE_BITS) - 1)))
    return ended


def _mark(key: tuple[str, ...]) -> bytes:
    return fingerprint(identity(key))[:16]


def load_member_state(fs: Fs, runs: Sequence[Run], resource: Resource, table: KeyTable, scratch: PurePath) -> None:
    """Put the keys of what *runs*, oldest first, hold in current sets into *table*, with their times. Blocking.

    Parents that have gone are not looked at: what belongs to them is for the provider to list or not.

    Args:
        scratch: a directory that is made, and removed again.
    """
    fs.remove_tree(scratch)  # what a dead process has left
    fs.make_directory(scratch, private=True)
    try:
        filled = [(path, manifest) for path, manifest in runs if manifest.shards]
        layers = Layers(
            runs=tuple(RunDirectory(manifest.run, path, finished=True) for path, manifest in filled),
            manifests=tuple(manifest for _, manifest in filled),
            grounded=True,
        )
        state, reader = CurrentState(fs, layers, scratch), HeadReader(resource)
        state.settle()
        keep_current_sets(fs, state, layers, resource, scratch, None)
        lines = state.lines()
        while batch := list(islice(lines, _AT_A_TIME)):
            columns = reader.read_page(batch)
            names = [identity(key or ()) for key in columns.keys]  # a state has no records without a key
            table.put(list(map(fingerprint, names)), names, columns.times)
    finally:
        fs.remove_tree(scratch)


def living_parents(state: CurrentState, relation: Relation) -> Iterator[bytes]:
    """Fingerprints of the records of a parent resource in their settled current *state*."""
    read = HeadReader(Resource(name=relation.parent, key=relation.parent_key)).read
    for _, _, _, line in state.winners():
        key = read(line).key
        if key is not None:
            yield _mark(key)
