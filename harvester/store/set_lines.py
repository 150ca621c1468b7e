"""Lines of ``sets`` shards: which related records there are of one parent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import Raw, Struct

from harvester.errors import StorageError


class SetLine(Struct, frozen=True, kw_only=True):
    """``{"parent": {"ListingKey": "…"}, "resource": "Media", "keys": ["…"], "at": "…", "stamps": {…}}``.

    Records of that parent whose key is not among *keys* are gone. They were read whole, or there is no such line.
    """

    parent: dict[str, str]  # identity members as text
    resource: str
    # Identity of each record, as one text or as several where one does not tell it. None: those of the same run that
    # name this parent, which were read together with those of all others.
    keys: tuple[str | tuple[str, ...], ...] | None
    at: datetime  # when it was read, aware UTC
    # The parent's members that move with the set, as its record had them before the set was read; None: it had none,
    # so that nothing tells whether the set has changed.
    stamps: dict[str, Raw] | None = None

    @property
    def members(self) -> tuple[tuple[str, ...], ...] | None:
        """*keys*, each as a tuple."""
        return None if self.keys is None else tuple((key,) if isinstance(key, str) else key for key in self.keys)


def set_line(
    parent: Mapping[str, str],
    resource: str,
    keys: Sequence[tuple[str, ...]] | None,
    at: datetime,
    stamps: bytes | None,
) -> bytes:
    """One line with its line end. *stamps*: a JSON object; None: there are none."""
    shown = None if keys is None else tuple(key[0] if len(key) == 1 else key for key in keys)
    line = _Written(
        parent=dict(parent), resource=resource, keys=shown, at=at, stamps=None if stamps is None else Raw(stamps)
    )
    return msgspec.json.encode(line) + b"\n"


def read_set_line(line: bytes) -> SetLine:
    """Raises ``StorageError`` when *line* is none."""
    try:
        return _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StorageError(f"a line is no set: {error}") from error


def whole_key(names: Sequence[str], owner: str, parent: str, member: Sequence[str]) -> tuple[str, ...]:
    """The identity of a *member* of the set of *parent*.

    Args:
        names: of the identity members. *owner*: the one that holds the parent's key, if it is among them: a set does
            not repeat that.
    """
    own = iter(member)
    return tuple(parent if name == owner else next(own, "") for name in names)


class _Written(Struct, frozen=True, kw_only=True):
    parent: dict[str, str]
    resource: str
    keys: tuple[str | tuple[str, ...], ...] | None
    at: datetime
    stamps: Raw | None


_decode = msgspec.json.Decoder(SetLine).decode
