"""What a run can show for its completeness: the provider's counts, and the manifest that holds them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from msgspec.structs import replace

from harvester.contracts import LinkedPager, Transport
from harvester.engine.ask import count
from harvester.engine.crew import Crew
from harvester.engine.parts import root_of, whole
from harvester.engine.position import Position
from harvester.engine.proven import Proven
from harvester.engine.site import Site
from harvester.engine.source import Blueprint, Source
from harvester.engine.stopping import unless_stopped
from harvester.engine.workshop import Workshop
from harvester.model import Ending, PageRequest, Phase, Walk
from harvester.store.layout import ShardKind, data_kind
from harvester.store.manifest import Gap, KeyDigest, Manifest, SweepEvidence, WalkEvidence
from harvester.store.shards import ShardEntry
from harvester.store.splits import Sketches


class Evidence:
    """Gathered beside the walks of one resource's run, and written down when it has finished.

    Args:
        transport: of the run, so that its questions are counted as the run's requests.
        crew: its walks.
        digest: of the keys that its sieve let through.
        sketches: of the same records.
    """

    def __init__(
        self,
        source: Source,
        blueprint: Blueprint,
        site: Site,
        run: str,
        transport: Transport,
        crew: Crew,
        digest: KeyDigest,
        sketches: Sketches,
    ) -> None:
        self._source, self._blueprint, self._site, self._run = source, blueprint, site, run
        self.resource = blueprint.resource
        self._transport, self._crew, self._digest, self._sketches = transport, crew, digest, sketches
        self.count_after: int | None = None
        self._in_doubt = False  # a walk's end proves nothing, and the provider did not say how many there are
        self.claimed: int | None = None  # records that the provider counts at least, by its last word; None: not asked
        self._missing: int | None = None  # of them, by the count; None: none, or nobody can tell
        self._gaps: tuple[Gap, ...] = ()
        self._sweep: SweepEvidence | None = None
        self.mode = Phase.FULL
        self._closed: set[str] = set()  # parts that a count has shown to have ended
        self.as_new_as = ""  # newest run of the parent resource that its sets are as new as

    async def shortfall(self, walks: Sequence[Walk], shop: Workshop) -> tuple[str, bool]:
        """Why the provider's count says that rows are missing, "" when it does not say so; True: asked to stop.

        Counts are taken before and after: rows may honestly come and go, so only fewer keys than *both* counts is
        a gap. A count can never prove that nothing is missing (FAULTS P13), it can only disprove it (P06).
        """
        if await self.claim(walks, shop):
            return "", True
        if self._in_doubt:
            told = "nothing shows that the last page was the last, and the provider does not say how many there are"
            return f"{told}; run with --prove", False
        taken = self._digest.number if self.resource.key else self._crew.total("records")
        missing = (self.claimed or 0) - taken - self._crew.total("quarantined")
        self._missing = missing if missing > 0 else None
        if self._missing is None:
            return self._smaller(walks, taken), False
        return f"the provider counts {self.claimed:,} records, {missing:,} more than could be read", False

    def lack(self, reason: str, missing: int | None) -> str:
        """Keep how many records a gap is of, None: nobody can tell; its *reason*."""
        self._missing = missing
        return reason

    def _smaller(self, walks: Sequence[Walk], taken: int) -> str:
        """Why a count that is smaller than what came is not believed, "" when it need not be (FAULTS P13, P06)."""
        before = self._expected(walks)
        known = [number for number in (before, self.count_after) if number is not None]
        if not known or max(known) >= taken or not self._is_open(walks):
            return ""
        told = "nothing shows that the last page was the last"
        return f"the provider counts {max(known):,} records where {taken:,} came, and {told}; run with --prove"

    async def claim(self, walks: Sequence[Walk], shop: Workshop) -> bool:
        """Ask the provider's count again: ``claimed`` is the lesser of the first and this one. True: asked to stop."""
        self.count_after = None
        if await self._recount_parts(walks, shop):
            return True
        if self.mode is Phase.SWEEP:  # nothing was read before that could have told it
            before, question = None, shop.count
        else:
            before = self._expected(walks)
            question = shop.count if before is not None else self._doubt(walks)
        if question is not None:
            asked: list[int | None] = []
            for walk in walks:
                ask = partial(count, self._source, self._transport, walk, question(walk))
                number, stopped = await unless_stopped(shop.stop, ask)
                if stopped:
                    return True
                asked.append(number)
            self.count_after = _total(asked)
        self._in_doubt = (
            self.mode is not Phase.SWEEP
            and before is None
            and self.count_after is None
            and (question is not None or self._is_open(walks))
        )
        self.claimed = min((number for number in (before, self.count_after) if number is not None), default=0)
        return False

    def _positions(self, walks: Sequence[Walk]) -> list[Position]:
        """Where the parts of *walks* stand; a walk that was not cut is its only part."""
        return [self._crew.positions[part.id] for walk in walks for part in self._crew.family(walk.id)]

    def _expected(self, walks: Sequence[Walk]) -> int | None:
        """Records that the provider told of before they were read; None: it did not tell of all of them."""
        return _total([position.expected for position in self._positions(walks)])

    def _doubt(self, walks: Sequence[Walk]) -> Callable[[Walk], PageRequest] | None:
        """What to ask because a walk ended behind a page that nothing shows to be the last; None: nothing."""
        positions = self._positions(walks)
        if all(position.proven or position.tally.ending == Ending.SHOWN for position in positions):
            return None
        filtered = any(walk.filter is not None for walk in walks)
        if self._source.provider.doubt is not None and not filtered:
            return self._source.provider.doubt
        linked = {walk.id: pager for walk in walks if walk.counted and (pager := self._linked(walk)) is not None}
        if len(linked) < len(walks) or not self._is_open(walks):
            return None
        # Of what was cut, the parts tell where they end, and the whole is what is counted.
        return lambda walk: linked[walk.id].how_many(walk if len(self._crew.family(walk.id)) == 1 else whole(walk))

    def _is_open(self, walks: Sequence[Walk]) -> bool:
        """Whether one of *walks* ended where nothing led on, on a page like any other."""
        return any(
            self._crew.positions[part.id].tally.ending == Ending.OPEN
            and part.id not in self._closed
            and self._linked(walk) is not None
            for walk in walks
            for part in self._crew.family(walk.id)
        )

    async def _recount_parts(self, walks: Sequence[Walk], shop: Workshop) -> bool:
        """Count the windows again whose last pages show no end. True: asked to stop.

        Rows leave a window by changing, so its last page may be as long as any, and its first count too large. One
        that holds no more records now than were taken from it has ended.
        """
        parts = [part for walk in walks if len(family := self._crew.family(walk.id)) > 1 for part in family]
        for part in parts:
            pager, tally = self._linked(part), self._crew.positions[part.id].tally
            if pager is None or tally.ending != Ending.OPEN or part.id in self._closed or not part.counted:
                continue
            # What comes to the last one, which has no end, came later than its first page: the closing delta has it.
            bounded = part if part.undated else replace(part, until=part.until or self._crew.positions[part.id].anchor)
            ask = partial(count, self._source, self._transport, part, pager.how_many(bounded))
            number, stopped = await unless_stopped(shop.stop, ask)
            if stopped:
                return True
            if number is not None and number <= tally.records:
                self._closed.add(part.id)
        return False

    def _linked(self, walk: Walk) -> LinkedPager | None:
        pager = self._source.provider.pager(self._crew.walks[walk.id].pager)
        return pager if isinstance(pager, LinkedPager) else None

    def take(self, proven: Proven) -> None:
        """Keep what a sweep has shown."""
        self._sweep, self._gaps, self._missing = proven.evidence, proven.gaps, None

    def manifest(self, reason: str, *, requests: int, started: datetime) -> Manifest:
        """The manifest of the run as its commits tell it now. Blocking: reads them.

        Args:
            reason: why it is not complete; "" when it is.
            started: of this attempt, aware UTC.
        """
        commits = {name: log.load() for name, log in self._crew.logs.items()}
        shards: list[ShardEntry] = [
            entry
            for log in commits.values()
            for commit in log
            for entry in commit.add
            if data_kind(entry.path) != ShardKind.LISTED
        ]
        before = [position.expected for name, position in self._crew.positions.items() if name.startswith("w")]
        # Sending times of the first and last page are in the commits; the run began with the earliest.
        first = min((log[0].at for log in commits.values() if log), default=started)
        # A part may not have begun when another one found that the server ignores its filter (FAULTS P15).
        begun = {name: walk for name, walk in sorted(self._crew.walks.items()) if name in self._crew.positions}
        told = [self._anchor(walk) for name, walk in begun.items() if name[0] in "wn"]
        anchors = [anchor for anchor in told if anchor is not None]
        return Manifest(
            run=self._run,
            source=self._source.name,
            provider=self._source.provider.name,
            resource=self.resource.name,
            mode=self.mode,
            verdict="incomplete" if reason else "complete",
            reason=reason,
            fingerprint=self._blueprint.fingerprint,
            records=self._crew.total("records"),
            bytes=sum(entry.bytes for entry in shards),
            requests=requests,
            started=min(first, started),
            finished=self._site.clock.now(),
            watermark=min(anchors, default=None),
            count_before=_total(before),
            count_after=self.count_after,
            keys=self._digest.key_set() if self.resource.key else None,
            key=self.resource.key,
            modified=self.resource.modified,
            languages=self.resource.languages,
            translated=self.resource.translated,
            quarantined=self._crew.total("quarantined"),
            tombstones=sum(entry.rows for entry in shards if data_kind(entry.path) == ShardKind.DELETED),
            sets=sum(entry.rows for entry in shards if data_kind(entry.path) == ShardKind.SETS),
            relation=self.resource.relation,
            parent_run=self.as_new_as,
            walks=tuple(self._walk(name, walk) for name, walk in begun.items()),
            splits=self._sketches.splits() if self.resource.key else (),
            gaps=(self._gaps or (Gap(cause=reason, missing=self._missing),)) if reason else (),
            sweep=self._sweep,
            shards=tuple(shards),
        )

    def _anchor(self, walk: Walk) -> str | None:
        """Where the next delta goes on behind *walk*; None: it was told no time.

        Where the data tell it, by the latest changes that came, the last window of a delta has them.
        """
        crew = self._crew
        if walk.phase is not Phase.DELTA or self._source.provider.anchor is None:
            return crew.positions[walk.id].anchor
        return max((a for a in crew.anchors(root_of(walk.id)) if a is not None), default=None)

    def _walk(self, name: str, walk: Walk) -> WalkEvidence:
        position = self._crew.positions[name]
        tally = position.tally
        return WalkEvidence(
            id=name,
            phase=walk.phase,
            value=walk.value,
            pager=walk.pager,
            since=walk.since,
            until=walk.until,
            above=walk.above,
            below=walk.below,
            undated=walk.undated,
            empty=not (tally.records or tally.duplicates or tally.quarantined),
            anchor=self._anchor(walk),
            watermark=position.watermark,
            requests=tally.requests,
            records=tally.records,
            duplicates=tally.duplicates,
            wire_bytes=tally.wire_bytes,
            seconds=tally.seconds,
            seams=tally.seams,
            seams_mended=tally.seams_mended,
            extra_requests=tally.extra_requests,
        )


def _total(counts: Sequence[int | None]) -> int | None:
    """The sum; None when one of them is not known, or there are none."""
    return None if not counts or None in counts else sum(number or 0 for number in counts)
