"""Which records of a page are written: each (key, version) once a run, those without a key to quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from msgspec import Raw, Struct

from harvester.contracts import Pager
from harvester.engine.reader import Fetched
from harvester.model import Head, Rejected, Resource, Walk
from harvester.store.keys import SeenKeys
from harvester.store.manifest import KeyDigest


class Sifted(Struct, frozen=True, kw_only=True):
    """What becomes of the records of one page."""

    keep: Sequence[bool] | None  # None: all of them
    rows: int  # how many are kept
    duplicates: int
    rejected: tuple[Rejected, ...]
    first_modified: str | None  # smallest and largest text among the kept
    last_modified: str | None


class Sieve:
    """Knows what the run of one resource already holds, over all its walks.

    A record's version is its modification time, or a hash of its bytes where the provider has none.
    Resources without identity members are not sifted: nothing tells two equal records apart.
    """

    def __init__(self, resource: Resource, seen: SeenKeys, digest: KeyDigest) -> None:
        self._resource, self._seen, self._digest = resource, seen, digest

    def sift(self, walk: Walk, pager: Pager, fetched: Fetched) -> Sifted:
        """Decide on *fetched*, and remember what is kept.

        Call it once for each page, just before the page is written: what is remembered counts as held.
        """
        page, heads = fetched.page, fetched.heads
        total = len(page.records)
        keep: list[bool] | None = None
        fresh = pager.fresh(walk, fetched.request, page, heads)
        if fresh is not None:
            keep = list(fresh)
        rejected = list(page.rejected)
        duplicates = 0 if keep is None else total - sum(keep)
        if self._resource.key:
            keep, lost = self._quarantine(page.records, heads, keep)
            rejected.extend(lost)
            keep, again = self._novel(walk, page.records, heads, keep)
            duplicates += again
        times = [
            head.modified
            for index, head in enumerate(heads)
            if head.modified is not None and (keep is None or keep[index])
        ]
        return Sifted(
            keep=keep if keep is not None and not all(keep) else None,
            rows=total if keep is None else sum(keep),
            duplicates=duplicates,
            rejected=tuple(rejected),
            first_modified=min(times, default=None),
            last_modified=max(times, default=None),
        )

    def remember(self, walk: Walk, records: Sequence[bytes | Raw], heads: Sequence[Head]) -> None:
        """Take what an earlier attempt at this run has already committed."""
        if self._resource.key:
            self._novel(walk, records, heads, None)

    def _quarantine(
        self, records: Sequence[Raw], heads: Sequence[Head], keep: list[bool] | None
    ) -> tuple[list[bool] | None, list[Rejected]]:
        lost = [index for index, head in enumerate(heads) if head.key is None and (keep is None or keep[index])]
        if not lost:
            return keep, []
        keep = [True] * len(records) if keep is None else keep
        for index in lost:
            keep[index] = False
        return keep, [Rejected(bytes(records[index]), heads[index].problem or "no key") for index in lost]

    def _novel(
        self, walk: Walk, records: Sequence[bytes | Raw], heads: Sequence[Head], keep: list[bool] | None
    ) -> tuple[list[bool] | None, int]:
        chosen = [index for index in range(len(records)) if keep is None or keep[index]]
        if not chosen:
            return keep, 0
        scope = walk.value
        keys: list[tuple[str, ...]] = []
        versions: list[str] = []
        for index in chosen:
            key, modified = heads[index].key or (), heads[index].modified
            keys.append(key if scope is None else (scope, *key))
            versions.append(modified if modified is not None else content_version(records[index]))
        novelty = self._seen.admit(keys, versions)
        if novelty is None:
            self._digest.add_all(keys)
            return keep, 0
        keep = [True] * len(records) if keep is None else keep
        again = 0
        for position, index in enumerate(chosen):
            if novelty[position].is_new_key:
                self._digest.add(keys[position])
            elif not novelty[position].is_new_version:
                keep[index] = False
                again += 1
        return keep, again


def content_version(record: bytes | Raw) -> str:
    """A version for records without a modification time. Line ends between tokens do not count: they are
    dropped when the record is written (FAULTS D01), and the written line must give the same version."""
    data = bytes(record)
    if b"\n" in data or b"\r" in data:
        data = data.replace(b"\r", b"").replace(b"\n", b"")
    return blake2b(data, digest_size=12).hexdigest()
