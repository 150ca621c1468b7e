"""Our own JSON documents on disk: one object that tells when it was changed after it was written.

The last member, ``check``, is the SHA-256 of everything before it. It stays JSON that anyone may read; a flipped
bit, a cut or an edit by hand is refused instead of being believed (FAULTS F07).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePath
from typing import TypeVar

import msgspec
from msgspec import Struct

from harvester.contracts import Fs
from harvester.errors import StorageError

_CHECK = re.compile(rb',"check":"([0-9a-f]{64})"\}\n')
_CHECK_SIZE = len(',"check":""}\n') + 64

_Document = TypeVar("_Document", bound=Struct)


class _Format(Struct):
    format: int


def encode_document(document: Struct) -> bytes:
    """One line of JSON, sealed with its check. *document* has at least one field."""
    body = msgspec.json.encode(document)[:-1]
    return b'%b,"check":"%b"}\n' % (body, hashlib.sha256(body).hexdigest().encode())


def read_document(fs: Fs, path: PurePath, kind: type[_Document], formats: frozenset[int]) -> _Document:
    """Read a document of *kind*. Members it does not know are skipped: a newer release may have added them.

    Raises:
        StorageError: it cannot be read, was changed, or its ``format`` is none of *formats* (FAULTS R11); the
            message names the file.
    """
    data = fs.read(path)
    tail = _CHECK.fullmatch(data, max(0, len(data) - _CHECK_SIZE))
    if tail is None or hashlib.sha256(memoryview(data)[: tail.start()]).hexdigest().encode() != tail[1]:
        raise StorageError(
            f"{path}: was changed or cut after it was written. Restore it from a copy, or remove its run directory "
            "and harvest again."
        )
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found not in formats:
            raise StorageError(
                f"{path}: has format {found}; this release reads {', '.join(map(str, sorted(formats)))}. "
                "Use the release that wrote it, or another output directory."
            )
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise StorageError(f"{path}: is not what its name says ({error}). Remove its run directory.") from error
