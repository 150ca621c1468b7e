"""How the run of a related resource goes on from those of its parent: which sets are read, and which are held.

Where all sets can be read together, a full run does that, and notes before its first request what each parent told of
its set. Every other run asks for the set of one parent after another: of those whose stamps are not the ones held.
What is asked for after its stamps were known is at least as new as they are, so nothing that moves later is missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import PurePath
from typing import TypeVar

from harvester.engine.crew import Crew
from harvester.engine.frontier import Frontier
from harvester.engine.intake import shard_writer
from harvester.engine.parents import changed, load_parents, load_sets
from harvester.engine.position import Position
from harvester.engine.set_intake import SetIntake
from harvester.engine.set_work import SetWork
from harvester.engine.site import Site
from harvester.engine.source import Blueprint
from harvester.engine.state import Run, grounded
from harvester.engine.view import Layers, layers_of
from harvester.engine.workshop import Workshop
from harvester.errors import ConfigError
from harvester.model import Phase, Walk
from harvester.provider import SETS
from harvester.store.commits import Commit, CommitLog, Tally
from harvester.store.key_table import KeyTable
from harvester.store.layout import ShardKind, walk_of
from harvester.store.manifest import Manifest, newest_of
from harvester.store.runs import find_runs
from harvester.store.set_lines import set_line
from harvester.store.shards import ShardEntry

T = TypeVar("T")

ROLL = "k00"  # the walk under which a full run notes what the parents told before it began
_LETTERS = {Phase.FULL: "a", Phase.SWEEP: "b", Phase.DELTA: "m"}  # of walks through sets
_AT_A_TIME = 1000  # lines
_SHOWN = 200  # characters of a reason

Table = Callable[[str], KeyTable]
"""Makes a table of a name, which its caller closes."""


class Related:
    """Decides, once for each attempt, what the run of *blueprint*'s resource has to do.

    Args:
        source: name of the source.
        directory: of the run.
        own: finished runs of the related resource with these settings, oldest first.
    """

    def __init__(self, site: Site, source: str, blueprint: Blueprint, directory: PurePath, own: Sequence[Run]) -> None:
        relation = blueprint.resource.relation
        if relation is None:
            raise ValueError(f"{blueprint.resource.name} is no related resource")
        self._site, self._source, self._blueprint, self._directory = site, source, blueprint, directory
        self._relation, self._own = relation, own
        self.by_parent = False  # its sets are asked for one after another; False: it is read like any other
        self.mode = Phase.FULL  # of the run, where *by_parent*
        self.as_new_as = ""  # newest run of the parent that counts

    # -------------------------------------------------------------- what is to be done

    def plan(self, earlier: Mapping[str, tuple[Commit, ...]]) -> None:
        """Look at what there is. Blocking.

        Args:
            earlier: what attempts at this run have committed.
        Raises:
            ConfigError: a delta or sweep is asked for, and there is no harvest to go on from.
        """
        parents = self._parents()
        self.as_new_as = parents.runs[-1].name if parents.runs else ""
        begun = {name[0] for name in earlier if name != ROLL}
        roll = earlier.get(ROLL)
        if roll and not begun & set(_LETTERS.values()):
            self.as_new_as = roll[-1].walk.as_new_as  # what is read now may be no newer than what was noted then
            return
        self.mode = self._mode(begun)
        self.by_parent = self.mode is Phase.DELTA or not self._relation.collection

    def _mode(self, begun: set[str]) -> Phase:
        for phase, letter in _LETTERS.items():
            if letter in begun:
                return phase
        asked = self._site.mode
        if begun or asked == Phase.FULL or (asked == Phase.SWEEP and self._relation.collection):
            return Phase.FULL
        if self._has_ground():
            return Phase.SWEEP if asked == Phase.SWEEP else Phase.DELTA
        if asked in {Phase.DELTA, Phase.SWEEP} and not self._site.lenient:
            raise ConfigError(
                f"{self._blueprint.resource.name} has no complete harvest with these settings that a {asked} could go "
                "on from. Run with --mode full first.",
                path=f"sources.{self._source}",
            )
        return Phase.FULL

    def _has_ground(self) -> bool:
        """Whether earlier runs tell which sets are held. Where each was read by itself an incomplete run does."""
        if self._relation.collection:
            return bool(grounded(self._own))
        return any(manifest.mode == Phase.FULL for _, manifest in self._own)

    def _parents(self) -> Layers:
        site = self._site
        name = self._relation.parent.replace("/", ".")
        return layers_of(site.fs, find_runs(site.fs, site.out, self._source, name))

    # -------------------------------------------------------------- one set after another

    async def read(
        self, crew: Crew, shop: Workshop, earlier: Mapping[str, tuple[Commit, ...]], table: Table
    ) -> str | None:
        """Read the sets that are not held. Why the run is not complete, "" when it is; None: asked to stop."""
        for commits in earlier.values():
            crew.recall(commits)
        work = await _in_thread(shop, lambda: self._work(earlier, table))
        resource, shared = self._blueprint.resource, shop.source.shared_sets
        if self._relation.expand is not None and not work.select:
            shared.join(resource.name, self._relation.expand, work.needs)
        else:
            shared.leave(resource.name)
        # Sets are small: committed as often as a short window of the quota would have it, each was a file of its own.
        source = replace(shop.source, requests_at_risk=max(shop.source.requests_at_risk, shop.source.most_at_risk))
        walks, shop = work.walks(), replace(shop, source=source, intake=partial(SetIntake, work))
        while (walk := await _in_thread(shop, lambda: next(walks, None))) is not None:
            if not await crew.run((walk,), shop, {}):
                return None
        if not work.refused:
            return ""
        number = "1 set" if len(work.refused) == 1 else f"{len(work.refused):,} sets"
        return f"{number} could not be read, for example: {work.refused[0][:_SHOWN]}"

    def _work(self, earlier: Mapping[str, tuple[Commit, ...]], table: Table) -> SetWork:
        """The sets that this attempt has to read. Blocking.

        What earlier attempts have read is held, unless its parent has changed since.
        """
        fs = self._site.fs
        parents, held = table("parents"), table("sets")
        layers = self._parents()
        runs: list[Run] = [(run.path, manifest) for run, manifest in zip(layers.runs, layers.manifests, strict=True)]
        grounds: list[Run] = []
        if self.mode is Phase.DELTA:
            base = self._base()
            runs = [run for run in runs if base is None or newest_of(run[1]) > base.parent_run]
            grounds = list(grounded(self._own) or self._own)
        load_parents(fs, runs, self._relation, parents)
        mine = [entry for commits in earlier.values() for commit in commits for entry in commit.add]
        held_in = [(path, _told(manifest)) for path, manifest in grounds if fs.exists(path)]
        load_sets(fs, [*held_in, (self._directory, mine)], self._relation, held, parents)
        letter = _LETTERS[self.mode]
        walk = self._like()
        return SetWork(
            self._blueprint.resource,
            parents,
            held,
            select=walk.select,
            page_size=walk.page_size,
            as_new_as=self.as_new_as,
            letter=letter,
            first=max((int(name[1:]) + 1 for name in earlier if name[0] == letter), default=0),
        )

    def _base(self) -> Manifest | None:
        """The newest run that had every set of the parents it knew; None: none had."""
        return next(
            (run for _, run in reversed(self._own) if run.verdict == "complete" and run.parent_run),
            None,
        )

    def _like(self) -> Walk:
        return self._blueprint.walks(None, self._site.clock.now())[0]

    # -------------------------------------------------------------- all sets together

    async def call_the_roll(
        self, crew: Crew, shop: Workshop, earlier: Mapping[str, tuple[Commit, ...]], table: Table
    ) -> None:
        """Make durable what each parent tells of its set, before any set is asked for."""
        walk = Walk(id=ROLL, resource=self._blueprint.resource, pager=SETS, phase=Phase.SETS, as_new_as=self.as_new_as)
        log = crew.logs.get(ROLL) or CommitLog(shop.fs, shop.directory, ROLL, shop.rng)
        if ROLL not in earlier:
            await self._write_roll(walk, log, shop, table)
        crew.logs[ROLL] = log
        crew.walks[ROLL], crew.positions[ROLL] = walk, Position(frontier=Frontier(()), done=True)

    async def _write_roll(self, walk: Walk, log: CommitLog, shop: Workshop, table: Table) -> None:
        parents, nobody = table("parents"), table("sets")
        layers = self._parents()
        runs = [(run.path, manifest) for run, manifest in zip(layers.runs, layers.manifests, strict=True)]
        await _in_thread(shop, lambda: load_parents(self._site.fs, runs, self._relation, parents))
        writer = shard_writer(walk, shop, ShardKind.SETS, 0)
        everyone, at = changed(parents, nobody), shop.clock.now()
        try:
            while batch := await _in_thread(shop, lambda: list(islice(everyone, _AT_A_TIME))):
                lines = [
                    set_line(
                        dict(zip(self._relation.parent_key, parent.key, strict=True)),
                        walk.resource.name,
                        None,
                        at,
                        parent.stamps,
                    )
                    for parent in batch
                ]
                await writer.write((b"".join(lines),), len(lines), None, None)
            entries = await writer.seal()
        finally:
            await writer.abandon()
        await _in_thread(
            shop,
            lambda: log.append(
                walk=walk,
                at=at,
                fingerprint=shop.fingerprint,
                add=entries,
                cursor=(),
                done=True,
                tally=Tally(),
            ),
        )


def _told(manifest: Manifest) -> Sequence[ShardEntry]:
    """The shards of a run, without what it noted of the parents before it failed to read all of their sets."""
    if manifest.verdict == "complete":
        return manifest.shards
    return [entry for entry in manifest.shards if walk_of(entry.path) != ROLL]


async def _in_thread(shop: Workshop, function: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(shop.executor, function)
