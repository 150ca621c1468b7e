"""The harvest a source is in the middle of: its run name and resources, until every one has its manifest.

Written before the first request, so that a restart goes on with the same run: resources that finished before
a crash are not fetched again, and those that had not begun belong to the same run as their siblings.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import PurePath

import msgspec

from harvester.contracts import Fs
from harvester.store import layout


class CurrentRun(msgspec.Struct, frozen=True, kw_only=True):
    """One source's unfinished harvest."""

    run: str
    provider: str
    mode: str
    resources: tuple[str, ...]


def read_current(fs: Fs, out: PurePath, source: str) -> CurrentRun | None:
    """The harvest *source* is in the middle of; None when the last one ended. An unreadable note counts as none:
    the runs themselves tell which of them are unfinished."""
    path = _path(out, source)
    if not fs.exists(path):
        return None
    try:
        return msgspec.json.decode(fs.read(path), type=CurrentRun)
    except msgspec.DecodeError:
        return None


def oldest_current(fs: Fs, out: PurePath, source: str) -> str:
    """The name of the oldest run of any harvest of *source*, or a part of it, that has not ended; "": all have."""
    directory = layout.state_directory(out) / "current"
    found = []
    for name in fs.names(directory):
        if name.startswith(f"{source}.") and name.endswith(".json"):
            with suppress(msgspec.DecodeError):
                found.append(msgspec.json.decode(fs.read(directory / name), type=CurrentRun).run)
    return min(found, default="")


def read_currents(fs: Fs, out: PurePath, source: str) -> tuple[CurrentRun, ...]:
    """The harvests that *source*, or a part of it, is in the middle of."""
    names = (name.removesuffix(".json") for name in fs.names(_path(out, source).parent) if name.endswith(".json"))
    # A dot is in no name of a source: what follows it names the part.
    notes = (read_current(fs, out, name) for name in names if name.partition(".")[0] == source)
    return tuple(note for note in notes if note is not None)


def begin_current(fs: Fs, out: PurePath, source: str, current: CurrentRun) -> None:
    """Note durably that *current* has begun."""
    path = _path(out, source)
    fs.make_directory(path.parent, private=True)
    fs.replace(path, msgspec.json.encode(current))


def end_current(fs: Fs, out: PurePath, source: str) -> None:
    """Every resource has its manifest (or the run was given up)."""
    fs.remove(_path(out, source))


def _path(out: PurePath, source: str) -> PurePath:
    return layout.state_directory(out) / "current" / f"{source}.json"
