"""The token of one source, kept for the next run and for other processes: where the configuration wants it.

The file is this user's alone (mode 0600, in a directory of mode 0700) and bound to the client it was issued to. One
that is anything else, damaged or a link is not used, and the next token takes its place (FAULTS A07).
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import PurePath

import msgspec

from harvester.contracts import Fs
from harvester.errors import StorageError

_HASH_ROUNDS = 20_000  # the file must not be of use to guess a short secret


class _Bound(msgspec.Struct, frozen=True, kw_only=True):
    binding: str
    token: msgspec.Raw


def binding_of(token_url: str, scope: str, owner: str) -> str:
    """Names the client that a token is for, without telling its secrets. *owner*: id and secret."""
    salt = f"{token_url}|{scope}".encode()
    return hashlib.pbkdf2_hmac("sha256", owner.encode(), salt, _HASH_ROUNDS).hex()


class TokenFile:
    """The port ``TokenKeeper`` on a file."""

    def __init__(self, fs: Fs, path: PurePath, binding: str) -> None:
        self._fs, self._path, self._binding = fs, path, binding

    def recall(self) -> bytes | None:
        document = None
        with suppress(StorageError):
            document = self._fs.read_private(self._path)
        if document is None:
            return None
        try:
            bound = msgspec.json.decode(document, type=_Bound)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return bytes(bound.token) if bound.binding == self._binding else None

    def keep(self, document: bytes) -> None:
        bound = _Bound(binding=self._binding, token=msgspec.Raw(document))
        with suppress(StorageError):
            self._fs.make_directory(self._path.parent, private=True)
            self._fs.replace(self._path, msgspec.json.encode(bound), private=True)
