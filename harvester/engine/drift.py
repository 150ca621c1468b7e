"""The records of a finished run held against the data model, shard by shard in one pass."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import PurePath

import msgspec
from msgspec import Struct

from harvester.contracts import Fs
from harvester.data_model import DataModel, DeclaredType, ResourceDrift
from harvester.decode.profile import Lists, Profile
from harvester.store.layout import ShardKind, data_kind
from harvester.store.lines import read_lines
from harvester.store.manifest import Manifest

MAX_VALUES = 1_000_000  # of all lists together


class _LookupRecord(Struct):
    """A record of RESO's resource ``Lookup``: one value of one list (RESO Data Dictionary 2.0)."""

    LookupName: str
    LookupValue: str
    StandardLookupValue: str | None = None
    LegacyODataValue: str | None = None


def lists_of(model: DataModel, lookup_lines: Iterator[bytes] | None = None) -> Lists:
    """What profiles need: the types, and every list whose values are known.

    Args:
        lookup_lines: the records of the resource ``Lookup``; None: it was not harvested.
    """
    values: dict[str, dict[str, str]] = {
        lookup.name: {each.value: each.label for each in lookup.values} for lookup in model.lookups if lookup.values
    }
    decode = msgspec.json.Decoder(_LookupRecord).decode
    for line in islice(lookup_lines or (), MAX_VALUES):
        try:
            record = decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            continue  # a record that names no list adds to none
        told = values.setdefault(record.LookupName, {})
        told[record.LookupValue] = record.StandardLookupValue or ""
        if record.LegacyODataValue:
            told.setdefault(record.LegacyODataValue, record.LookupValue)
    return Lists(types=model.types_by_name(), values=values)


def records_of(fs: Fs, run_dir: PurePath, manifest: Manifest) -> Iterator[bytes]:
    """The lines of every shard of records. Raises ``StorageError`` at one that is damaged."""
    for shard in manifest.shards:
        if data_kind(shard.path) == ShardKind.PART:
            yield from read_lines(fs, run_dir / shard.path)


def check_run(
    fs: Fs,
    run_dir: PurePath,
    manifest: Manifest,
    declared: DeclaredType,
    lists: Lists,
    *,
    limit: int | None = None,
    asked: Collection[str] = (),
) -> ResourceDrift:
    """Hold the records of a run against the type *declared* for them. Blocks while it reads.

    Args:
        limit: look at no more records; None: at all.
        asked: the members that the run asked for; (): all.
    Raises:
        StorageError: a shard is damaged.
    """
    profile = Profile(declared, lists, asked=asked)
    for line in islice(records_of(fs, run_dir, manifest), limit):
        profile.take(line)
    fields = profile.findings()
    return ResourceDrift(
        resource=manifest.resource,
        run=manifest.run,
        records=profile.records,
        of=manifest.records,
        unreadable=profile.unreadable,
        fields=fields,
        unnamed=profile.unnamed,
        drifts=sum(bool(each.drift) for each in fields),
    )
