"""What the encoded names of a source stand for, as it was first told.

A text that changes later would make other records of the same ones. So the first word counts as long as this file
lives; without it the words of today do.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import PurePath

from msgspec import MsgspecError, Struct

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.documents import encode_document, read_document
from harvester.store.layout import names_file

FORMAT = 1


class _Names(Struct, frozen=True, kw_only=True):
    format: int = FORMAT
    names: dict[str, str]


def keep_names(fs: Fs, out: PurePath, source: str, told: Mapping[str, str]) -> dict[str, str]:
    """*told* and everything that was told before, which counts; durable when this returns."""
    path = names_file(out, source)
    kept: dict[str, str] = {}
    with suppress(StorageError, MsgspecError):
        if fs.exists(path):
            kept = read_document(fs, path, _Names, frozenset({FORMAT})).names
    names = {**told, **kept}
    if names != kept:
        fs.make_directory(path.parent, private=True)
        fs.replace(path, encode_document(_Names(names=names)))
    return names
