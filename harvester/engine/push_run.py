"""What was looked at becomes a run of its own: made where no reader looks, and moved in whole by one rename.

So it is there or not, and nobody ever goes on with half of one. It tells where no delta starts and proves nothing of
the resource as a whole. Whatever came between the look and the run would lie below it and be newer: then the record
is looked at again (``Ground``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice
from pathlib import PurePath

import msgspec
from msgspec import structs

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.decode.lines import join_lines
from harvester.engine.burial import LETTER, Tombstone
from harvester.engine.looks import Look
from harvester.engine.site import Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.state import grounded
from harvester.errors import Locked
from harvester.model import Phase, Walk
from harvester.store import layout
from harvester.store.commits import CommitLog, Tally
from harvester.store.current import read_currents
from harvester.store.layout import ShardKind, data_kind
from harvester.store.lines import read_lines
from harvester.store.manifest import KeyDigest, Manifest, WalkEvidence, read_manifest, write_manifest
from harvester.store.runs import find_runs
from harvester.store.shardfile import ShardEntry, ShardFile

_POLLS = frozenset({Phase.DELTA, Phase.SWEEP})
_MOST_READ = 100_000  # records of a run that is read to see what it brought
_AT_A_TIME = 1000  # lines


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a push would lie on top of."""

    finished: frozenset[str]  # runs of the resource; pushes are among them
    reason: str = ""  # why there can be no push now; "" when there can
    passing: bool = False  # it may be over in a moment


class Ground:
    """Whether a push of one resource has something to lie on. Blocking; for one thread.

    A push adds to a replica, it begins none. And it waits for a run that was broken off: gone on with, that one would
    read newer versions and lie below it.
    """

    def __init__(self, fs: Fs, out: PurePath, source: str, blueprint: Blueprint) -> None:
        self._fs, self._out, self._source, self._blueprint = fs, out, source, blueprint
        self._known: dict[str, Manifest] = {}  # slim, by run

    def look(self) -> Around:
        """How things stand on disk."""
        name = self._blueprint.resource.name
        runs = find_runs(self._fs, self._out, self._source, self._blueprint.resource.dirname)
        finished = frozenset(run.name for run in runs if run.finished)
        self._known = {run: manifest for run, manifest in self._known.items() if run in finished}
        if any(not run.finished for run in runs):
            return Around(finished=finished, reason="a run of it is under way, or was broken off", passing=True)
        for note in read_currents(self._fs, self._out, self._source):
            if name in note.resources and note.run not in finished:
                return Around(
                    finished=finished, reason="a harvest of it was begun and has not come to its end", passing=True
                )
        mine: list[tuple[PurePath, Manifest]] = []
        for run in reversed(runs):  # back to the last complete full one, or the last change of settings
            manifest = self._manifest(run.name, run.path)
            if manifest is None or manifest.fingerprint != self._blueprint.fingerprint:
                break
            mine.append((run.path, manifest))
            if grounded(mine[-1:]):
                return Around(finished=finished)
        return Around(finished=finished, reason="no full run of it with these settings is complete")

    def brought(self, runs: Iterable[str], since: datetime) -> tuple[tuple[datetime, frozenset[str]], ...]:
        """Of complete deltas and sweeps among *runs* that began after *since*: when, and the keys that they read.

        Whatever was announced before such a run began, of its keys, it has read as it is now.
        """
        found = []
        for run in sorted(runs, reverse=True):
            path = layout.run_directory(self._out, self._source, self._blueprint.resource.dirname, run)
            slim = self._manifest(run, path)
            if slim is None or slim.started <= since:
                break
            own = slim.mode in _POLLS and slim.fingerprint == self._blueprint.fingerprint
            if own and slim.verdict == "complete" and slim.records <= _MOST_READ:
                found.append((slim.started, self._keys_in(path)))
        return tuple(found)

    def _keys_in(self, path: PurePath) -> frozenset[str]:
        manifest, reader = read_manifest(self._fs, path), HeadReader(self._blueprint.resource)
        keys: set[str] = set()
        for entry in manifest.shards if manifest is not None else ():
            if data_kind(entry.path) == ShardKind.PART:
                lines = read_lines(self._fs, path / entry.path)
                while batch := list(islice(lines, _AT_A_TIME)):
                    keys.update(key[0] for key in reader.read_page(batch).keys if key is not None)
        return frozenset(keys)

    def _manifest(self, run: str, path: PurePath) -> Manifest | None:
        if run not in self._known:
            manifest = read_manifest(self._fs, path)
            if manifest is None:
                return None
            self._known[run] = structs.replace(manifest, shards=(), splits=())
        return self._known[run]


def write_push(
    site: Site,
    source: Source,
    blueprint: Blueprint,
    walk: Walk,
    looks: Sequence[Look],
    *,
    requests: int,
    started: datetime,
    taken: frozenset[str],
) -> Manifest:
    """Make a run of *looks* and put it beside the others; when this returns it outlives a loss of power. Blocking.

    Call it with the lock of the source held.

    Args:
        walk: one of ``ways_to_look``.
        looks: one a key.
        requests: that they took.
        started: of the first of them, aware UTC.
        taken: names of the runs that there are.
    Raises:
        StorageError: it could not be written; there is nothing of it then.
    """
    fs, resource = site.fs, blueprint.resource
    place = layout.resource_directory(site.out, source.name, resource.dirname)
    run = layout.run_name(site.clock.now(), taken)
    # The last three parts of its path are those it will have: its manifest is held against them.
    workshop = layout.push_directory(site.out)
    staging = layout.run_directory(workshop, source.name, resource.dirname, run)
    fs.remove_tree(layout.resource_directory(workshop, source.name, resource.dirname))  # what a dead process has left
    fs.make_directory(staging)
    found = [look for look in looks if look.record is not None]
    gone = [look.key for look in looks if look.record is None]
    entries: list[ShardEntry] = []
    if found:
        times = [look.modified for look in found if look.modified is not None]
        lines = join_lines([look.record for look in found if look.record is not None]).data
        entries += _write(
            site, staging, walk, ShardKind.PART, lines, len(found), min(times, default=None), max(times, default=None)
        )
    tally = Tally(records=len(found), requests=requests, bytes=sum(look.size for look in found))
    _commit(site, staging, walk, blueprint, entries, tally)
    if gone:
        grave = structs.replace(walk, id=f"{LETTER}00")
        at = site.clock.now()
        tombstones = b"".join(_tombstone(walk, key, at) for key in gone)
        buried = _write(site, staging, grave, ShardKind.DELETED, tombstones, len(gone), None, None)
        _commit(site, staging, grave, blueprint, buried, Tally())
        entries += buried
    manifest = _manifest(site, source, blueprint, walk, run, found, entries, requests, started, len(gone))
    write_manifest(fs, staging, manifest)
    fs.make_directory(place)
    target = place / staging.name
    if fs.exists(target):
        raise Locked(f"{target}: another process has written it. Nothing of it was changed.")
    fs.rename(staging, target)
    return manifest


def _write(
    site: Site,
    directory: PurePath,
    walk: Walk,
    kind: ShardKind,
    lines: bytes,
    rows: int,
    first: str | None,
    last: str | None,
) -> list[ShardEntry]:
    name = layout.shard_name(kind, walk.id, 0, site.rng.hex(4), site.compression)
    shard = ShardFile(site.fs, directory, name, site.compression)
    try:
        shard.write((lines,), rows, first, last)
        return [shard.seal()]
    except BaseException:
        shard.abandon()
        raise


def _commit(
    site: Site, directory: PurePath, walk: Walk, blueprint: Blueprint, add: Sequence[ShardEntry], tally: Tally
) -> None:
    CommitLog(site.fs, directory, walk.id, site.rng).append(
        walk=walk,
        at=site.clock.now(),
        fingerprint=blueprint.fingerprint,
        add=add,
        cursor=(),
        done=True,
        tally=tally,
    )


def _tombstone(walk: Walk, key: tuple[str, ...], at: datetime) -> bytes:
    named = dict(zip(walk.resource.key, key, strict=True))
    return msgspec.json.encode(Tombstone(key=named, deleted=True, evidence="push", at=at, last_seen=None)) + b"\n"


def _manifest(
    site: Site,
    source: Source,
    blueprint: Blueprint,
    walk: Walk,
    run: str,
    found: Sequence[Look],
    entries: Sequence[ShardEntry],
    requests: int,
    started: datetime,
    tombstones: int,
) -> Manifest:
    digest = KeyDigest()
    digest.add_all(look.key for look in found)
    evidence = WalkEvidence(
        id=walk.id, phase=Phase.PUSH, pager=walk.pager, requests=requests, records=len(found), duplicates=0
    )
    grave = WalkEvidence(id=f"{LETTER}00", phase=Phase.PUSH, pager=walk.pager, requests=0, records=0, duplicates=0)
    return Manifest(
        run=run,
        source=source.name,
        provider=source.provider.name,
        resource=blueprint.resource.name,
        mode=Phase.PUSH,
        verdict="complete",
        fingerprint=blueprint.fingerprint,
        records=len(found),
        bytes=sum(entry.bytes for entry in entries),
        requests=requests,
        started=started,
        finished=site.clock.now(),
        keys=digest.key_set(),
        key=blueprint.resource.key,
        modified=blueprint.resource.modified,
        tombstones=tombstones,
        walks=(evidence, grave) if tombstones else (evidence,),
        shards=tuple(entries),
    )
