"""The last run of a resource that found nothing new: its manifest, without a directory of its own.

Who asks every five minutes makes 105,000 runs of a resource in a year, nearly all of them empty. What such a run
proves is only how far the replica is true; that fits into one small file, which the next one replaces.

It can be rebuilt at a price: without it the next delta starts from the last run that has a directory, and reads more.
So a file that is damaged or from another release counts as none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePath

import msgspec
from msgspec import Struct, structs

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.documents import encode_document, read_document
from harvester.store.layout import manifest_path, renewal_file, run_directory
from harvester.store.manifest import Manifest

FORMAT = 1
_MOST_BEFORE = 20  # of earlier ones that are kept: without them a delta reads more, and loses nothing


class Renewal(Struct, frozen=True, kw_only=True):
    """A finished run without a directory."""

    format: int = FORMAT
    manifest: Manifest  # of the newest; without shards
    before: tuple[Manifest, ...] = ()  # of earlier ones that tell what it does not: it may have met nothing
    held_in: str  # the run that holds the same records; "": a delta, whose records earlier runs hold together
    after: str  # newest run with a directory when this one finished
    rounds: int  # such runs since that one


def read_renewal(fs: Fs, out: PurePath, source: str, resource_dirname: str, newest: str = "") -> Renewal | None:
    """What was kept last; None: nothing, or a later run has taken its place.

    Args:
        newest: name of the newest finished run that has a directory; "": there is none.
    """
    path = renewal_file(out, source, resource_dirname)
    with suppress(StorageError, msgspec.MsgspecError):
        if not fs.exists(path):
            return None
        found = read_document(fs, path, Renewal, frozenset({FORMAT}))
        if found.manifest.run <= newest:
            return None
        if found.held_in and not fs.exists(manifest_path(run_directory(out, source, resource_dirname, found.held_in))):
            return None  # what it stands for is gone
        return found
    return None


def keep_renewal(
    fs: Fs,
    out: PurePath,
    resource_dirname: str,
    manifest: Manifest,
    *,
    held_in: str,
    after: str,
    before: Sequence[Manifest] = (),
) -> None:
    """Make it durable that the run of *manifest* has finished; then its directory may go.

    Args:
        held_in, after, before: as in ``Renewal``.
    Raises:
        StorageError: it could not be written; nothing has changed then.
    """
    earlier = read_renewal(fs, out, manifest.source, resource_dirname, after)
    path = renewal_file(out, manifest.source, resource_dirname)
    fs.make_directory(path.parent, private=True)
    kept = Renewal(
        manifest=_slim(manifest),
        before=tuple(map(_slim, before[-_MOST_BEFORE:])),
        held_in=held_in,
        after=after,
        rounds=1 + (earlier.rounds if earlier is not None and earlier.after == after else 0),
    )
    fs.replace(path, encode_document(kept))


def _slim(manifest: Manifest) -> Manifest:
    return structs.replace(manifest, shards=(), splits=(), bytes=0)
