"""Which runs of a resource become a base, and which stay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from msgspec import Struct

from harvester.contracts import Fs
from harvester.engine.state import Run
from harvester.model import Phase
from harvester.store.layout import name_behind
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import RunDirectory, find_runs

MOST = 2_000  # runs that become one base at a time, so that memory does not grow with their number


class Foldable(Struct, frozen=True, kw_only=True):
    """What can be done about the runs of one resource."""

    runs: tuple[RunDirectory, ...] = ()  # a complete full one, and those on top of it; fewer than two: no base
    name: str = ""  # of the base
    below: tuple[RunDirectory, ...] = ()  # finished runs that nobody sees: older than the newest complete full one
    leftover: tuple[RunDirectory, ...] = ()  # of *below*, those that a base stands for already
    more: bool = False  # there are runs for another base on top of this one
    why_not: str = ""  # why no more runs are folded; "" when nothing is in the way


class _Seen(Struct, frozen=True):
    """What must be known of a run to choose it; a manifest may be large."""

    run: RunDirectory
    mode: str
    complete: bool
    reason: str
    fingerprint: str
    is_base: bool
    related: bool

    @property
    def is_ground(self) -> bool:
        return self.mode == Phase.FULL and self.complete


def foldable(fs: Fs, resource_dir: PurePath, *, keep: int = 0, before: str = "", most: int = MOST) -> Foldable:
    """Look at the runs of a resource. Blocking; reads their manifests.

    Args:
        resource_dir: ``out/source=…/resource=…``.
        keep: so many of the newest finished runs stay as they are.
        before: runs with this name and later ones stay as they are; "": none of them for that.
    """
    # Related sets tell themselves what each parent said of them: that is no state of records, and stays as it is.
    out, source = resource_dir.parent.parent, resource_dir.parent.name.partition("=")[2]
    runs = find_runs(fs, out, source, resource_dir.name.partition("=")[2])
    # What goes on in an unfinished run rests on those before it, and will lie on top of them.
    limit = min([before or "~", *(run.name for run in runs if not run.finished)])
    seen = [
        _look(run, manifest) for run in runs if run.finished and (manifest := read_manifest(fs, run.path, settle=False))
    ]
    if any(each.related for each in seen):
        return Foldable(why_not="its records are sets of another resource")
    ground = max((place for place, each in enumerate(seen) if each.is_ground), default=None)
    if ground is None:
        return Foldable(why_not="no full run of it is complete" if seen else "")
    old = len(seen) - keep  # runs that may go
    below = tuple(each.run for each in seen[:ground])
    chosen, why_not = _chosen(seen[ground : max(ground, old)], limit)
    names = [run.name for run in runs]
    name = ""
    taken = _settled(chosen[:most])
    while len(taken) > 1:
        following = names[names.index(taken[-1].run.name) + 1 :]
        name = name_behind(taken[-1].run.name, following[0] if following else "")
        if name:
            break
        taken = _settled(taken[:-1])
    return Foldable(
        runs=tuple(each.run for each in taken) if name else (),
        name=name,
        below=tuple(run for run in below[: max(0, old)] if run.name < limit),
        leftover=below if seen[ground].is_base else (),
        more=bool(name) and len(taken) < len(chosen),
        why_not=why_not,
    )


def manifests_of(fs: Fs, runs: Sequence[RunDirectory]) -> tuple[Run, ...]:
    """*runs* with their manifests."""
    found = ((run.path, read_manifest(fs, run.path, settle=False)) for run in runs)
    return tuple((path, manifest) for path, manifest in found if manifest is not None)


def _look(run: RunDirectory, manifest: Manifest) -> _Seen:
    complete = manifest.verdict == "complete"
    folded = manifest.folded is not None
    related = manifest.relation is not None
    return _Seen(run, manifest.mode, complete, manifest.reason, manifest.fingerprint, folded, related)


def _chosen(chain: Sequence[_Seen], limit: str) -> tuple[list[_Seen], str]:
    """As many of *chain*, which begins with a ground, as one base can stand for; and why no more."""
    usable: list[_Seen] = []
    why_not = ""
    for each in chain:
        if each.run.name >= limit:
            why_not = f"run {each.run.name} and later ones wait for a harvest to end, or for related records"
            break
        if each.fingerprint != chain[0].fingerprint:
            why_not = f"run {each.run.name} was made with other settings"
            break
        usable.append(each)
    settled = _settled(usable)
    if len(settled) < len(usable):
        open_end = next(each for each in usable[len(settled) :] if not each.complete)
        why_not = f"run {open_end.run.name} is incomplete and not made up for: {open_end.reason}"
    return settled, why_not


def _settled(chain: Sequence[_Seen]) -> list[_Seen]:
    """The longest beginning of *chain* in which every incomplete run was made up for by a complete one of its mode.

    A base says that it is complete, so it must not hide that something may be missing.
    """
    settled = 0
    open_ends: set[str] = set()  # modes whose last run was incomplete
    for length, each in enumerate(chain, start=1):
        if each.complete:
            open_ends.discard(each.mode)
        else:
            open_ends.add(each.mode)
        if not open_ends:
            settled = length
    return list(chain[:settled])
