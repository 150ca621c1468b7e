"""Where the streams of a resource have left the program that takes their pages: what its next delta begins at.

A stream whose every page is committed leaves a manifest without shards in the place of its positions: of the last full
one, and of the deltas since then one for all of them. They are for ``Blueprint.changes``, as those of runs are.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime
from pathlib import PurePath

from msgspec import structs

from harvester.contracts import Fs
from harvester.engine.position import Position
from harvester.engine.source import Blueprint
from harvester.model import Phase, Walk
from harvester.store.layout import LOG
from harvester.store.manifest import Manifest, WalkEvidence, read_manifest, write_manifest
from harvester.store.runs import runs_in


class StreamEnds:
    """What is kept of the streams of one resource, in the directory of their positions. Blocking."""

    def __init__(self, fs: Fs, positions: PurePath, source: str, provider: str, blueprint: Blueprint) -> None:
        self._fs, self._positions = fs, positions
        self._source, self._provider, self._blueprint = source, provider, blueprint

    def unfinished(self) -> str | None:
        """The name of a stream that was broken off; None: there is none."""
        return next((run.name for run in reversed(runs_in(self._fs, self._positions)) if not run.finished), None)

    def taken(self) -> set[str]:
        """Names of streams that there were."""
        return {run.name for run in runs_in(self._fs, self._positions)}

    def settled(self) -> list[Manifest]:
        """The last full stream that came to its end, and what its deltas amount to; []: there is none, as set now."""
        found: list[Manifest] = []
        for run in runs_in(self._fs, self._positions):
            manifest = read_manifest(self._fs, run.path) if run.finished else None
            if manifest is None:
                continue
            if manifest.mode == Phase.FULL:  # with whatever settings: what was delivered before lies below it
                found.clear()
            if manifest.fingerprint == self._blueprint.fingerprint:
                found.append(manifest)
        return [*found[:1], *found[1:][-1:]] if found and found[0].mode == Phase.FULL else []

    def settle(
        self, run: str, at: datetime, positions: Iterable[tuple[Walk, Position]], brought: Container[str]
    ) -> None:
        """Stream *run* is over: keep what the next delta needs to know, and nothing else.

        Args:
            at: the end, aware UTC.
            positions: of the walks it began with.
            brought: ids of those that any record came of.
        """
        walks = [_evidence(walk, position, empty=walk.id not in brought) for walk, position in positions]
        is_delta = any(walk.phase == Phase.DELTA for walk in walks)
        if is_delta:
            earlier = {walk.value: walk for manifest in self.settled()[1:] for walk in manifest.walks}
            walks = [_together(earlier.pop(walk.value, None), walk) for walk in walks]
            walks += earlier.values()
        directory = self._positions / f"run={run}"
        manifest = Manifest(
            run=run,
            source=self._source,
            provider=self._provider,
            resource=self._blueprint.resource.name,
            fingerprint=self._blueprint.fingerprint,
            mode=Phase.DELTA if is_delta else Phase.FULL,
            verdict="complete",
            records=0,
            bytes=0,
            requests=sum(walk.requests for walk in walks),
            started=at,
            finished=at,
            keys=None,
            walks=tuple(walks),
            shards=(),
        )
        write_manifest(self._fs, directory, manifest)
        kept = {each.run for each in self.settled()}
        for each in runs_in(self._fs, self._positions):
            self._fs.remove_tree(each.path / LOG if each.name in kept else each.path)


def _together(before: WalkEvidence | None, now: WalkEvidence) -> WalkEvidence:
    """What two deltas of one scope amount to.

    Where the clock was silent this time, what was known before still holds. So it does where nothing came, which may
    have been the answer to another request (FAULTS H11), unless the server's clock was set back (T06).
    """
    if before is None or now.phase == Phase.FULL:
        return now
    if now.anchor is None:
        return before
    if now.empty and now.until is None and before.anchor is not None:
        return structs.replace(before, anchor=min(before.anchor, now.anchor))
    return now


def _evidence(walk: Walk, position: Position, *, empty: bool) -> WalkEvidence:
    return WalkEvidence(
        id=walk.id,
        phase=walk.phase,
        value=walk.value,
        empty=empty,
        pager=walk.pager,
        requests=position.tally.requests,
        records=position.tally.records,
        duplicates=position.tally.duplicates,
        since=walk.since,
        until=walk.until,
        anchor=position.anchor,
    )
