"""What a finished run contains: shards, hashes, watermark and the proof of completeness."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import PurePath

from msgspec import Struct

from harvester.contracts import Fs
from harvester.errors import Locked, StorageError
from harvester.model import Relation
from harvester.store.documents import encode_document, read_document
from harvester.store.keys import fingerprint, identity
from harvester.store.layout import PART, data_kind, manifest_path
from harvester.store.shardfile import ShardEntry
from harvester.store.splits import Splits

FORMAT = 1
_FORMATS = frozenset({FORMAT})
_MODULUS = 1 << 256


class KeySet(Struct, frozen=True, kw_only=True):
    """A set of keys without the keys: two sets with the same digest hold the same keys."""

    number: int
    digest: str  # KeyDigest.hexdigest()


class WalkEvidence(Struct, frozen=True, kw_only=True):
    """What one walk of the run did."""

    id: str
    phase: str
    value: str | None = None  # the PerValue value it was for
    pager: str
    requests: int
    records: int
    duplicates: int
    wire_bytes: int = 0  # bodies as they came over the wire
    seconds: float = 0.0  # of its requests from sending to the last byte, summed; 0 with *wire_bytes* 0: not measured
    since: str | None = None  # lower bound of a delta or window, inclusive; None: open
    until: str | None = None  # its upper bound, exclusive
    above: str | None = None  # lower bound of a range of keys, inclusive; None: open
    below: str | None = None  # its upper bound, exclusive
    undated: bool = False  # only the records without a modification time
    empty: bool = False  # no record came at all, whatever would have become of it
    anchor: str | None = None  # instant before its first request, the provider's text
    watermark: str | None = None  # largest modification time it met, the provider's text
    seams: int = 0  # of offset pages: how many were found to share records with their neighbours
    seams_mended: int = 0  # how many of them only when they were read again
    extra_requests: int = 0  # of offset pages: those that did not read on, but mended, or proved the end


class CredentialUse(Struct, frozen=True, kw_only=True):
    """What one of several credentials did for the run, in the attempt that finished it."""

    name: str
    requests: int


class Gap(Struct, frozen=True, kw_only=True):
    """Where something may be missing, and why. Bounds are inclusive; None: not known, it may be anywhere."""

    cause: str
    missing: int | None = None  # records; None: nobody can tell
    value: str | None = None  # of the parent resource
    first_key: tuple[str, ...] | None = None
    last_key: tuple[str, ...] | None = None
    first_time: str | None = None  # modification times, the provider's text
    last_time: str | None = None


class SweepEvidence(Struct, frozen=True, kw_only=True):
    """The keys that the provider listed after everything was read, against those that were held."""

    listed: KeySet  # of the last listing
    missing: int  # listed by the first one that could be believed and not held
    differing: int  # held with another modification time than listed
    refetched: int  # keys of both kinds that came when they were fetched again
    gone: int  # held, and not listed any more: deleted meanwhile, or moved
    moved: int = 0  # of these: found in another resource of the provider
    rounds: int  # listings made
    requests: int  # for listings and for what they made necessary
    ended_by_itself: bool  # the last listing was read to its end; one that was not proves nothing (FAULTS T10)
    proven: bool  # every listed key is held
    times: bool  # modification times were compared, too
    whole: bool = False  # and everything else that the records say
    count_refuted: bool = False  # the provider counts more than it lists, and nothing lies behind its last record
    reason: str = ""  # why it proves nothing; "" when it does


class Folded(Struct, frozen=True, kw_only=True):
    """What a base run was made of: finished runs that it stands for. Counts include those of bases among them."""

    at: datetime  # when, aware UTC
    first: str  # the full run that began it all
    last: str  # the newest run in it
    runs: int
    requests: int  # that all of them took
    superseded: int  # records that a later version replaced
    tombstones: int  # keys that were proven gone
    swept: str = ""  # the newest complete sweep among them; "": none


class Manifest(Struct, frozen=True, kw_only=True):
    """A finished run. Counts are of this run; ``bytes`` are on disk; times are aware UTC."""

    format: int = FORMAT
    run: str
    source: str
    provider: str
    resource: str  # as the provider names it, slashes and all
    fingerprint: str  # of the source's settings
    mode: str  # full | delta | sweep
    verdict: str  # complete | incomplete | failed
    reason: str = ""  # "" when complete
    records: int  # lines of all ``part`` shards
    bytes: int  # of all shards together
    requests: int
    started: datetime
    finished: datetime
    watermark: str | None = None  # where the next delta starts, the provider's text; None: it has no such question
    count_before: int | None = None  # what the provider claimed; None: it does not tell
    count_after: int | None = None
    keys: KeySet | None  # None: the records have no identity members
    key: tuple[str, ...] = ()  # these members; () also: an earlier release did not say
    modified: str | None = None  # the member with the modification time; None: there is none, or it was not said
    languages: tuple[str, ...] = ()  # of the records' own values, several: one walk each; (): nobody says
    translated: bool = False  # records hold their texts in other languages, too
    quarantined: int = 0  # lines of all ``quarantine`` shards
    tombstones: int = 0  # lines of all ``deleted`` shards, those of records that moved among them (``sweep.moved``)
    sets: int = 0  # lines of all ``sets`` shards
    relation: Relation | None = None  # its records are sets of another resource's
    parent_run: str = ""  # newest run of that resource that the sets are as new as; "": there is no such resource
    walks: tuple[WalkEvidence, ...] = ()
    splits: tuple[Splits, ...] = ()  # where the next run may cut its walks; (): the records have no keys
    gaps: tuple[Gap, ...] = ()  # () when complete
    sweep: SweepEvidence | None = None  # None: none was made; of a base: the newest that is in it
    folded: Folded | None = None  # it was not harvested, but is the current state of earlier runs; None: of itself
    credentials: tuple[CredentialUse, ...] = ()  # (): the source has one only
    shards: tuple[ShardEntry, ...]


def newest_of(manifest: Manifest) -> str:
    """The name of the newest run whose records *manifest* stands for."""
    return manifest.run if manifest.folded is None else manifest.folded.last


def read_manifest(fs: Fs, run_dir: PurePath, *, settle: bool = True) -> Manifest | None:
    """The manifest of *run_dir*; None: the run has not finished.

    Args:
        settle: make sure that it outlives a loss of power. Not for who only looks, nor for a run on which a later one
            was built: whoever built that has made sure.
    Raises:
        StorageError: it was changed, or another release wrote it (FAULTS F07, R11).
    """
    path = manifest_path(run_dir)
    if not fs.exists(path):
        return None
    manifest = read_document(fs, path, Manifest, _FORMATS)
    # The caller will take the run for finished: let that be true after a loss of power, even when the process that
    # created the manifest was killed before its own sync.
    if settle:
        fs.sync_directory(run_dir)
    return manifest


def write_manifest(fs: Fs, run_dir: PurePath, manifest: Manifest) -> None:
    """Finish the run: create its manifest, whole and durable. Call ``runs.tidy`` first.

    Raises:
        StorageError: a data file beside the manifest is not in it (what a reader's glob finds must equal the
            manifest), or it could not be made durable.
        Locked: another process has finished this run.
    """
    if strays := stray_files(fs, run_dir, manifest.shards):
        raise StorageError(
            f"{run_dir / strays[0]}: is no part of this run, and {len(strays) - 1} more. Nothing was finished. "
            "Run the same command again; it removes what a dead process has left behind."
        )
    if not fs.create_if_absent(manifest_path(run_dir), encode_document(manifest)):
        raise Locked(f"{manifest_path(run_dir)}: another process has finished this run; its manifest is kept.")


def stray_files(fs: Fs, run_dir: PurePath, shards: Iterable[ShardEntry]) -> tuple[str, ...]:
    """Names in *run_dir* that are data or an unsealed shard, and none of *shards*."""
    known = {shard.path for shard in shards}
    return tuple(
        name for name in fs.names(run_dir) if name not in known and (data_kind(name) is not None or name.endswith(PART))
    )


class KeyDigest:
    """The digest of a set of keys, whatever their order: the sum of their SHA-256, modulo 2^256.

    Give each key once: a sum, unlike an exclusive or, also notices one that was given twice. Costs about 1 µs a key.
    """

    def __init__(self) -> None:
        self.number = 0
        self._sum = 0

    def add(self, key: tuple[str, ...]) -> None:
        """Add one key, its identity values as text in the resource's order."""
        self.add_prints((fingerprint(identity(key)),))

    def add_all(self, keys: Iterable[tuple[str, ...]]) -> None:
        """Add the keys of one page."""
        self.add_prints([fingerprint(identity(key)) for key in keys])

    def add_prints(self, prints: Sequence[bytes]) -> None:
        """Add keys by their ``fingerprint``, where that is at hand."""
        self.number += len(prints)
        self._sum += sum([int.from_bytes(each, "big") for each in prints])

    def hexdigest(self) -> str:
        """64 hexadecimal digits; all zero for no keys."""
        self._sum %= _MODULUS
        return f"{self._sum:064x}"

    def key_set(self) -> KeySet:
        """The form it has in a manifest."""
        return KeySet(number=self.number, digest=self.hexdigest())
