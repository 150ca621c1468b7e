"""The last good data model of each source: what a harvest goes on with when the provider's cannot be read (M02)."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import PurePath

from msgspec import Struct

from harvester.contracts import Fs
from harvester.data_model import DataModel
from harvester.errors import StorageError
from harvester.store import layout
from harvester.store.documents import encode_document, read_document

FORMAT = 1


class KeptModel(Struct, frozen=True, kw_only=True):
    """A data model and where it is from."""

    format: int = FORMAT
    base_url: str
    fetched: datetime  # aware UTC
    model: DataModel


def read_kept(fs: Fs, out: PurePath, source: str, base_url: str) -> KeptModel | None:
    """What is kept for *source*; None: nothing, nothing that can be read, or of another service.

    It can be fetched again at any time, so damage is no error.
    """
    path = _path(out, source)
    kept = None
    if fs.exists(path):
        with suppress(StorageError):
            kept = read_document(fs, path, KeptModel, frozenset({FORMAT}))
    return kept if kept is not None and kept.base_url == base_url else None


def keep(fs: Fs, out: PurePath, source: str, kept: KeptModel) -> None:
    """Keep *kept* in the place of what was kept before."""
    path = _path(out, source)
    fs.make_directory(path.parent, private=True)
    fs.replace(path, encode_document(kept))


def _path(out: PurePath, source: str) -> PurePath:
    return layout.state_directory(out) / "metadata" / f"{source}.json"
