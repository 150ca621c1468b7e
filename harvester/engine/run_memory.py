"""What a process that harvests again and again remembers of finished runs, so that it reads each manifest once.

A delta needs to know where the replica stands; the runs that tell this are two or three, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import PurePath

from msgspec import Struct

from harvester.contracts import Fs
from harvester.engine.state import Run
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import RunDirectory


class _Known(Struct, frozen=True):
    """The finished runs of one resource up to *last*."""

    fingerprint: str
    number: int  # of them
    last: str  # name of the newest
    needed: tuple[Run, ...]  # those that tell where the replica stands, oldest first


class RunMemory:
    """By source and resource. Not for more than one thread a resource."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}

    def __len__(self) -> int:
        return sum(len(known.needed) for known in self._known.values())

    def basis(
        self, key: tuple[str, str], fs: Fs, runs: Sequence[RunDirectory], fingerprint: str, essential: Essential
    ) -> tuple[Run, ...]:
        """Those of *runs* on which the next delta rests. Blocking: reads what is new.

        Args:
            key: source and resource.
            runs: the finished ones, oldest first. Those of other settings, and all before them, count for nothing.
            essential: pure; what it leaves out of some runs it leaves out of more of them, too.
        """
        known = self._known.get(key)
        if known is None or not self._still_true(known, runs, fingerprint):
            known = _Known(fingerprint, 0, "", ())
        found = list(known.needed)
        for place, run in enumerate(runs[known.number :], known.number):
            manifest = read_manifest(fs, run.path, settle=place >= len(runs) - UNSETTLED)
            if manifest is not None and manifest.fingerprint == fingerprint:
                found.append((run.path, manifest))
            elif manifest is not None:
                found.clear()
            if len(found) > _MANY:
                found = _needed(found, essential)
        found = _needed(found, essential)
        self._known[key] = _Known(fingerprint, len(runs), runs[-1].name if runs else "", tuple(found))
        return tuple(found)

    def _still_true(self, known: _Known, runs: Sequence[RunDirectory], fingerprint: str) -> bool:
        """Whether *runs* begin with what is known: another process may have folded some of them."""
        if known.fingerprint != fingerprint or known.number > len(runs):
            return False
        if known.number and runs[known.number - 1].name != known.last:
            return False
        paths: set[PurePath] = {run.path for run in runs[: known.number]}
        return all(path in paths for path, _ in known.needed)


UNSETTLED = 2
"""Newest runs whose manifests may not outlive a loss of power yet: each run made sure of those it was built on."""

_MANY = 500  # manifests that are in memory at a time while many are read


Essential = Callable[[Sequence[Manifest]], Sequence[bool]]
"""For each of some runs, oldest first, whether a delta needs to know it."""


def _needed(runs: Sequence[Run], essential: Essential) -> list[Run]:
    return list(compress(runs, essential([manifest for _, manifest in runs])))
