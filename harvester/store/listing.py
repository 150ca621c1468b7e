"""What a provider lists, as lines on disk while a sweep runs, and the listing against what is held."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import PurePath

import msgspec
from msgspec import Struct

from harvester.contracts import Fs
from harvester.store.key_table import PARTS, KeyTable, Part
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import ShardKind, data_kind
from harvester.store.lines import read_lines
from harvester.store.manifest import KeyDigest, KeySet
from harvester.store.shardfile import ShardEntry

_AT_A_TIME = 2000  # lines
_BEHIND = b"\0"  # no provider writes it into a time


class Listed(Struct, frozen=True):
    """One line of a listing."""

    key: tuple[str, ...] | None  # None: the record had no usable one
    modified: str | None = None  # as the provider wrote it


_decode = msgspec.json.Decoder(Listed).decode


def listing_lines(keys: Sequence[tuple[str, ...] | None], times: Sequence[str | None]) -> bytes:
    """One line for each record of a page."""
    try:
        return b"".join([msgspec.json.encode(Listed(key, time)) + b"\n" for key, time in zip(keys, times, strict=True)])
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON may carry in escapes
        rows = [{"key": key, "modified": time} for key, time in zip(keys, times, strict=True)]
        return "".join(json.dumps(row) + "\n" for row in rows).encode()


def load_listing(
    fs: Fs,
    run_dir: PurePath,
    entries: Iterable[ShardEntry],
    value: str | None,
    table: KeyTable,
    *,
    label: str | None = None,
) -> tuple[int, int]:
    """Put what one walk has listed into *table*.

    Args:
        entries: what the walk's commits added.
        value: of the parent resource, which is a part of every key; None: there is none.
        label: kept of each key instead of what the line says of it; None: that is kept.
    Returns:
        Lines read, and how many of them had no usable key.
    """
    total = unreadable = 0
    for entry in entries:
        if data_kind(entry.path) != ShardKind.LISTED:
            continue
        lines = map(_read, read_lines(fs, run_dir / entry.path))
        while batch := list(islice(lines, _AT_A_TIME)):
            total += len(batch)
            rows = [row for row in batch if row.key is not None]
            unreadable += len(batch) - len(rows)
            scope = () if value is None else (value,)
            names = [identity((*scope, *(row.key or ()))) for row in rows]
            table.put(list(map(fingerprint, names)), names, [row.modified if label is None else label for row in rows])
    return total, unreadable


def _read(line: bytes) -> Listed:
    try:
        return _decode(line)
    except msgspec.DecodeError:
        row = json.loads(line)
        return Listed(None if row["key"] is None else tuple(row["key"]), row["modified"])


class Difference(Struct, frozen=True, kw_only=True):
    """A listing against what is held, in keys."""

    listed: KeySet
    missing: int  # listed, and not held when the listing began
    differing: int  # held with another modification time
    refetched: int  # of both kinds, fetched since
    gone: int  # held when the listing began, not listed
    gone_samples: tuple[tuple[bytes, str | None], ...]  # some of the gone, by chance: identity, time

    @property
    def wanted(self) -> int:
        """Keys that are still to be fetched."""
        return self.missing + self.differing - self.refetched


def living(part: Part) -> Part:
    """*part* without what only stands for a tombstone: an identity that is empty."""
    return {mark: row for mark, row in part.items() if row[0]}


def gone_keys(listed: KeyTable, held: KeyTable, later: KeyTable, gone: KeyTable) -> tuple[int, int]:
    """Put the keys of *held* that are not in *listed*, and have not come since, into *gone*; how many, of how many."""
    number = total = 0
    for place in range(PARTS):
        theirs, mine, newer = listed.part(place), living(held.part(place)), later.part(place)
        total += len(mine)
        for mark, (name, time) in mine.items():
            if mark not in theirs and mark not in newer:
                gone.put((mark,), (name,), (text_of(time),))
                number += 1
    return number, total


def number_in(some: KeyTable, other: KeyTable) -> int:
    """How many keys of *some* are in *other*."""
    return sum(len(some.part(place).keys() & other.part(place).keys()) for place in range(PARTS))


def compare_keys(listed: KeyTable, held: KeyTable, later: KeyTable, wanted: KeyTable, *, samples: int) -> Difference:
    """Compare part by part; what must be fetched goes into *wanted*.

    Args:
        held: keys met before the listing began. Only they can be gone from it.
        later: keys fetched after that: they are newer than the listing, whatever it says of them (FAULTS T11).
        samples: how many of the gone to name.
    """
    digest = KeyDigest()
    missing = differing = refetched = gone = 0
    gone_samples: list[tuple[bytes, str | None]] = []
    for place in range(PARTS):
        theirs, mine, newer = listed.part(place), living(held.part(place)), later.part(place)
        digest.add_prints(list(theirs))
        for mark, (name, time) in theirs.items():
            known = mine.get(mark)
            if known is not None and (not time or not known[1] or known[1] == time):
                continue
            missing += known is None
            differing += known is not None
            if mark in newer:
                refetched += 1
            else:
                wanted.put((mark,), (name,), (text_of(time),))
        for mark, (name, time) in mine.items():
            if mark not in theirs and mark not in newer:
                gone += 1
                if len(gone_samples) < samples:
                    gone_samples.append((name, text_of(time)))
    return Difference(
        listed=digest.key_set(),
        missing=missing,
        differing=differing,
        refetched=refetched,
        gone=gone,
        gone_samples=tuple(gone_samples),
    )


def text_of(time: bytes) -> str | None:
    """A time as a table holds it, as text; None: there is none."""
    return time.partition(_BEHIND)[0].decode("utf-8", "surrogatepass") or None


def with_note(time: str | None, note: str) -> str:
    """A time and behind it a note, in the place of a time; both take part where times are compared."""
    return f"{time or ''}{_BEHIND.decode()}{note}"


def still_wanted(wanted: KeyTable, later: KeyTable, left: KeyTable, listed: KeyTable | None = None) -> int:
    """Put into *left* what of *wanted* has not been fetched meanwhile; how many keys that is.

    Args:
        listed: a newer listing: what it does not name any more has gone meanwhile and is not wanted (FAULTS P12).
    """
    number = 0
    for place in range(PARTS):
        newer = later.part(place)
        theirs = None if listed is None else listed.part(place)
        for mark, (name, time) in wanted.part(place).items():
            if mark not in newer and (theirs is None or mark in theirs):
                left.put((mark,), (name,), (text_of(time),))
                number += 1
    return number
