"""Which records of a page are written: each version of a key once a run, those without a key to quarantine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import compress

from msgspec import Raw, Struct
from xxhash import xxh3_64_digest

from harvester.contracts import Pager
from harvester.decode.heads import Columns, HeadReader, PageHeads
from harvester.engine.fetched import Fetched
from harvester.engine.held import Held, is_changes_only
from harvester.engine.met import Met
from harvester.model import Page, Rejected, Resource, Walk
from harvester.store.keys import SeenKeys, fingerprint, identity
from harvester.store.manifest import KeyDigest
from harvester.store.splits import Sketches


class Sifted(Struct, frozen=True, kw_only=True):
    """What becomes of the records of one page."""

    keep: Sequence[bool] | None  # None: all of them
    rows: int  # how many are kept
    duplicates: int
    rejected: tuple[Rejected, ...]
    first_modified: str | None  # smallest and largest text among the kept
    last_modified: str | None
    met: int | None = None  # different records that the walk has met by now; None: they are not counted


Witness = Callable[[Walk, Sequence[bytes], Sequence[bytes], Sequence[str | None]], None]
"""Takes the fingerprints, identities and modification times of records that a walk has brought."""


class Sieve:
    """Knows what the run of one resource already holds, over all its walks.

    A record's version is what it says, byte for byte. Resources without identity members are not sifted: nothing
    tells two equal records apart.
    """

    def __init__(
        self,
        resource: Resource,
        seen: SeenKeys,
        digest: KeyDigest,
        witness: Witness | None = None,
        sketches: Sketches | None = None,
        held: Held | None = None,
        met: Met | None = None,
    ) -> None:
        """*witness*: is told of every record with a key that is let through or held already; *sketches*: of the first
        version of each key; *held*: what earlier runs hold, for walks that read a whole set for its changes; *met*:
        counts what comes."""
        self._resource, self._seen, self._digest, self._witness = resource, seen, digest, witness
        self._sketches = sketches or Sketches()
        self._held, self._met = held, met

    def sift(self, walk: Walk, pager: Pager, fetched: Fetched) -> Sifted:
        """Decide on *fetched*, and remember what is kept.

        Call it once for each page, just before the page is written: what is remembered counts as held.
        """
        page, columns = fetched.page, fetched.heads.columns
        total = len(page.records)
        keep: list[bool] | None = None
        fresh = pager.fresh(walk, fetched.request, page, fetched.heads)
        if fresh is not None:
            keep = list(fresh)
        rejected = list(page.rejected)
        duplicates = 0 if keep is None else total - sum(keep)
        if self._resource.key:
            keep, lost = self._quarantine(page.records, fetched.heads, keep)
            rejected.extend(lost)
            keep, same = self._changed(walk, page.records, columns, keep)
            keep, again = self._novel(walk, page.records, columns, keep)
            duplicates += same + again
        kept = columns.times if keep is None else compress(columns.times, keep)
        times = [time for time in kept if time is not None]
        return Sifted(
            keep=keep if keep is not None and not all(keep) else None,
            rows=total if keep is None else sum(keep),
            duplicates=duplicates,
            rejected=tuple(rejected),
            first_modified=min(times, default=None),
            last_modified=max(times, default=None),
            met=self._count(walk, page, columns),
        )

    def remember(self, walk: Walk, records: Sequence[bytes], reader: HeadReader) -> None:
        """Take what an earlier attempt at this run has already committed."""
        if self._resource.key:
            columns = reader.read_page(records)
            self._novel(walk, records, columns, None)
            if self._met is not None:
                self._met.add(walk, columns.keys, records)

    def met_without(self, walk: Walk, keys: Iterable[tuple[str, ...]]) -> int:
        """How many different records *walk* has met besides those of *keys*; 0 where they are not counted."""
        return 0 if self._met is None or not self._resource.key else self._met.without(walk, keys)

    def _count(self, walk: Walk, page: Page, columns: Columns) -> int | None:
        if self._met is None or not self._resource.key:
            return None
        return self._met.add(walk, columns.keys, page.records, [each.record for each in page.rejected])

    def _quarantine(
        self, records: Sequence[Raw], heads: PageHeads, keep: list[bool] | None
    ) -> tuple[list[bool] | None, list[Rejected]]:
        keys = heads.columns.keys
        if None not in keys:
            return keep, []
        lost = [index for index, key in enumerate(keys) if key is None and (keep is None or keep[index])]
        keep = [True] * len(records) if keep is None else keep
        for index in lost:
            keep[index] = False
        return keep, [Rejected(bytes(records[index]), heads[index].problem or "no key") for index in lost]

    def _changed(
        self, walk: Walk, records: Sequence[Raw], columns: Columns, keep: list[bool] | None
    ) -> tuple[list[bool] | None, int]:
        """Without the records that earlier runs hold as they are, where *walk* reads a whole set for its changes."""
        if self._held is None or not is_changes_only(walk):
            return keep, 0
        chosen = [
            (keep is None or keep[index]) and (key is None or self._held.is_new(walk, key, record))
            for index, (key, record) in enumerate(zip(columns.keys, records, strict=True))
        ]
        return chosen, (len(records) if keep is None else sum(keep)) - sum(chosen)

    def _novel(
        self, walk: Walk, records: Sequence[bytes | Raw], columns: Columns, keep: list[bool] | None
    ) -> tuple[list[bool] | None, int]:
        keys = columns.keys
        chosen: Sequence[int] = range(len(records))
        if keep is not None:
            chosen = list(compress(chosen, keep))
            keys = [keys[index] for index in chosen]
        if not chosen:
            return keep, 0
        scope = () if walk.value is None else (walk.value,)
        names = [identity((*scope, *(key or ()))) for key in keys] if scope else [identity(key or ()) for key in keys]
        prints = [fingerprint(name) for name in names]
        versions = [version_of(records[index]) for index in chosen]
        if self._witness is not None:
            self._witness(walk, prints, names, [columns.times[index] for index in chosen])
        novelty = self._seen.admit(names, prints, versions, walk.value or "")
        if novelty is None:
            self._digest.add_prints(prints)
            times = columns.times if len(chosen) == len(records) else [columns.times[index] for index in chosen]
            self._sketches.of(walk.value).add(prints, keys, times)
            return keep, 0
        keep = [True] * len(records) if keep is None else keep
        new = [place for place, each in enumerate(novelty) if each.is_new_key]
        prints = [prints[place] for place in new]
        self._digest.add_prints(prints)
        self._sketches.of(walk.value).add(
            prints, [keys[place] for place in new], [columns.times[chosen[place]] for place in new]
        )
        held = [index for index, each in zip(chosen, novelty, strict=True) if not each.is_new_version]
        for index in held:
            keep[index] = False
        return keep, len(held)


def version_of(record: bytes | Raw) -> bytes:
    """Eight bytes that stand for the bytes of a record, without the stamp of its walk.

    Not its modification time: two changes within its resolution share one, and so may two records that share a key.
    The hash is ten times as fast as copying the record.
    """
    return xxh3_64_digest(record)
