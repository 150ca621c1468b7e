"""The records that related sets belong to: which there are, and what they tell of their sets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import PurePath

import msgspec
from msgspec import Raw

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.decode.members import MemberReader
from harvester.engine.state import Run, tombstone_of
from harvester.engine.view import instant_of
from harvester.model import Phase, Relation, Resource
from harvester.store.key_table import PARTS, KeyTable
from harvester.store.keys import fingerprint, identity, parts_of
from harvester.store.layout import ShardKind, data_kind
from harvester.store.set_lines import read_set_line
from harvester.store.shards import ShardEntry, read_lines

_AT_A_TIME = 1000  # lines
_MASK = b'"********"'  # of Spark: not visible for this role, and so no stamp
_MASKED = b'{"_masked":['  # a record with such members begins so
_UNKNOWN = ""  # no stamps: nothing tells whether the set has changed
_TIME = 40  # characters before the stamps
_TIMELESS = "0" * _TIME  # of a record without a time, which is no older than others
_FEW = 100_000  # parents that are looked for by how their lines begin
_BEHIND_PARENT = b'},"resource":'
_EARLIEST = 1 << 62  # makes instants before 1970, and those of records without a time, sort first


class Parent(msgspec.Struct, frozen=True):
    """One record whose set is to be read."""

    key: tuple[str, ...]
    stamps: bytes | None  # what it tells of the set, a JSON object; None: nothing


def load_parents(fs: Fs, runs: Sequence[Run], relation: Relation, table: KeyTable) -> None:
    """Put the parents of *runs*, oldest first, into *table*, each with its stamps. Blocking; reads every record.

    Of several versions the one that the current state has counts, and a tombstone ends a parent (FAULTS T08, T12). An
    older version that was pushed yields: its stamps would hide that the set has changed since (W04).
    """
    heads = HeadReader(Resource(name=relation.parent, key=relation.parent_key, modified=relation.modified))
    gone = HeadReader(tombstone_of(Resource(name=relation.parent, key=relation.parent_key)))
    stamps = MemberReader(relation.telling)
    for number, (directory, manifest) in enumerate(runs):
        for entry in manifest.shards:
            kind = data_kind(entry.path)
            if kind not in {ShardKind.PART, ShardKind.DELETED}:
                continue
            lines = read_lines(fs, directory / entry.path)
            while batch := list(islice(lines, _AT_A_TIME)):
                if kind == ShardKind.DELETED:
                    names = [identity(key) for key in gone.read_page(batch).keys if key is not None]
                    table.put([*map(fingerprint, names)], [b""] * len(names), [None] * len(names), rank=2 * number)
                    continue
                columns = heads.read_page(batch)
                rows = [
                    (identity(key), _sortable(time) + _stamps_of(relation, stamps, line))
                    for key, time, line in zip(columns.keys, columns.times, batch, strict=True)
                    if key is not None
                ]
                pushed = manifest.mode == Phase.PUSH
                for yields in (False, True):
                    some = [row for row in rows if (pushed and not row[1].startswith(_TIMELESS)) == yields]
                    names, texts = [name for name, _ in some], [text for _, text in some]
                    table.put([*map(fingerprint, names)], names, texts, rank=2 * number + 1, yields=yields)


def load_sets(
    fs: Fs,
    runs: Sequence[tuple[PurePath, Sequence[ShardEntry]]],
    relation: Relation,
    table: KeyTable,
    parents: KeyTable,
) -> None:
    """Put the parents whose sets were read into *table*, each with the stamps of that time.

    Args:
        runs: oldest first, each with its shards in the order in which they were committed.
        parents: of the others nothing need be known.
    """
    wanted = _beginnings(relation, parents)
    if wanted is not None and not wanted:
        return
    for number, (directory, shards) in enumerate(runs):
        for place, entry in enumerate(shards):
            if data_kind(entry.path) != ShardKind.SETS:
                continue
            lines = enumerate(read_lines(fs, directory / entry.path))
            chosen = ((row, line) for row, line in lines if wanted is None or _beginning(line) in wanted)
            while batch := list(islice(chosen, _AT_A_TIME)):
                found = [read_set_line(line) for _, line in batch]
                names = [identity(tuple(each.parent[member] for member in relation.parent_key)) for each in found]
                # Of one run the line that was written last counts.
                times = [
                    f"{place:010d}{row:010d}".ljust(_TIME) + _written(each.stamps)
                    for (row, _), each in zip(batch, found, strict=True)
                ]
                table.put(list(map(fingerprint, names)), names, times, rank=number)


def _beginnings(relation: Relation, parents: KeyTable) -> frozenset[bytes] | None:
    """How the lines of *parents* begin, so that the many others need not be decoded; None: they are too many."""
    found: set[bytes] = set()
    for _, name, _ in parents.rows():
        if name:
            parent = dict(zip(relation.parent_key, parts_of(name), strict=True))
            found.add(b'{"parent":' + msgspec.json.encode(parent)[:-1])
        if len(found) > _FEW:
            return None
    return frozenset(found)


def changed(parents: KeyTable, held: KeyTable) -> Iterator[Parent]:
    """The *parents* whose sets are not *held* as they are now, in an order that is the same every time.

    Stamps are compared for equality, not order (Spark RESO contract, section 6). Nothing is held: that is everyone.
    """
    for place in range(PARTS):
        known = held.part(place)
        for mark, (name, text) in sorted(parents.part(place).items()):
            if not name:  # a tombstone
                continue
            stamps = text[_TIME:]
            if not stamps or mark not in known or known[mark][1][_TIME:] != stamps:
                yield Parent(parts_of(name), stamps or None)


def _beginning(line: bytes) -> bytes:
    return line[: line.find(_BEHIND_PARENT)]


def _written(stamps: Mapping[str, Raw] | None) -> str:
    """*stamps* of a line as they were written."""
    return _UNKNOWN if stamps is None else msgspec.json.encode(stamps).decode()


def _stamps_of(relation: Relation, reader: MemberReader, record: bytes) -> str:
    """What *record* tells of its set, as a JSON object; "" when it has none of the members, or may not show one."""
    hidden = _decode_hidden(record).names if record.startswith(_MASKED) else ()
    named = [name.rpartition(".")[2] for name in relation.telling]
    values = reader.read(record)
    if _MASK in values or any(name in hidden for name in named):
        return _UNKNOWN
    told = {name: Raw(value) for name, value in zip(named, values, strict=True) if value is not None}
    return msgspec.json.encode(told).decode() if told else _UNKNOWN


class _Hidden(msgspec.Struct):
    """The members that are empty because they may not be seen."""

    names: list[str] = msgspec.field(name="_masked")


_decode_hidden = msgspec.json.Decoder(_Hidden).decode


def _sortable(time: str | None) -> str:
    seconds, fraction = instant_of(time)
    return f"{seconds + _EARLIEST:020d}{fraction:020d}"
