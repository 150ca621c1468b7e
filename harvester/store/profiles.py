"""What a probe found of each resource's server, kept for a while: one small file each, advisory and rebuildable.

A profile that is too old, of another release's form, of other settings or damaged is no profile: the server is asked
again. So nothing here fails because of what is on disk.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from pathlib import PurePath
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.documents import encode_document, read_document
from harvester.store.layout import profile_file

FORMAT = 1

_Profile = TypeVar("_Profile", bound=Struct)


class _Kept(Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    binding: str  # of everything the answers depended on
    at: datetime  # aware UTC
    profile: Raw


class ProfileFile:
    """The profile of one resource of one source.

    Args:
        binding: a digest of all that the answers depend on: base URL, resource, select, filter, form of the profile.
    """

    def __init__(self, fs: Fs, out: PurePath, source: str, resource_dirname: str, *, binding: str) -> None:
        self._fs, self._binding = fs, binding
        self._path = profile_file(out, source, resource_dirname)

    def read(self, kind: type[_Profile], now: datetime, lifetime: float) -> tuple[_Profile, datetime] | None:
        """What was kept less than *lifetime* seconds before *now* (aware UTC), and when; else None."""
        with suppress(StorageError, msgspec.MsgspecError):
            if not self._fs.exists(self._path):
                return None
            kept = read_document(self._fs, self._path, _Kept, frozenset({FORMAT}))
            # A clock that jumped back would make a profile last for ever (FAULTS C01).
            fresh = 0 <= (now - kept.at).total_seconds() < lifetime
            if fresh and kept.binding == self._binding:
                return msgspec.json.decode(kept.profile, type=kind), kept.at
        return None

    def keep(self, profile: Struct, at: datetime) -> None:
        """Raises ``StorageError``."""
        self._fs.make_directory(self._path.parent, private=True)
        kept = _Kept(binding=self._binding, at=at, profile=Raw(msgspec.json.encode(profile)))
        self._fs.replace(self._path, encode_document(kept))

    def forget(self) -> None:
        """Ask the server again next time. Raises ``StorageError``."""
        self._fs.remove(self._path)
