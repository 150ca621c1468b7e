"""Some members of a record as they are written, without building the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

Tree = dict[str, "Tree | int"]


class MemberReader:
    """Reads the same members of many records; a dot in a name descends (``StandardFields.Photos``).

    A name that has a dot of its own is given as the tuple of its steps.
    """

    def __init__(self, names: Sequence[str | tuple[str, ...]]) -> None:
        self._number = len(names)
        tree: Tree = {}
        for place, name in enumerate(names):
            *parents, last = name.split(".") if isinstance(name, str) else name
            branch = tree
            for parent in parents:
                below = branch.setdefault(parent, {})
                if isinstance(below, int):
                    raise TypeError(f"{name} lies inside another wanted member")
                branch = below
            branch[last] = place
        self._tree = tree
        self._decode: Callable[[bytes | Raw], Any] = msgspec.json.Decoder(_struct(tree)).decode

    def read(self, record: bytes | Raw) -> tuple[bytes | None, ...]:
        """The value of each member as JSON text, in the order of the names; None: the record has no such member."""
        found: list[bytes | None] = [None] * self._number
        try:
            _collect(self._tree, self._decode(record), found)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # an object on the way is none: what lies inside is absent
            _dig(self._tree, record, found)
        return tuple(found)


def text_of(value: bytes | None) -> str | None:
    """*value* as the text of an identity: a string, or the digits of an integer; None: it is neither."""
    if value is None or value == b"null":
        return None
    try:
        built = msgspec.json.decode(value, type=str | int)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return value.decode() if isinstance(built, int) else built


def _struct(tree: Tree) -> type[Struct]:
    fields: list[tuple[str, type, Any]] = []
    for number, (name, branch) in enumerate(tree.items()):
        if isinstance(branch, int):
            fields.append((f"f{number}", Raw, field(name=name, default=Raw())))
        else:
            inner = _struct(branch)
            fields.append((f"f{number}", inner, field(name=name, default_factory=inner)))
    return msgspec.defstruct("Members", fields)


def _collect(tree: Tree, built: Any, found: list[bytes | None]) -> None:
    for number, branch in enumerate(tree.values()):
        value = getattr(built, f"f{number}")
        if isinstance(branch, int):
            found[branch] = bytes(value) or None
        else:
            _collect(branch, value, found)


def _dig(tree: Tree, record: bytes | Raw, found: list[bytes | None]) -> None:
    try:
        members: Mapping[str, Raw] = msgspec.json.decode(record, type=dict[str, Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    for name, branch in tree.items():
        if name not in members:
            continue
        if isinstance(branch, int):
            found[branch] = bytes(members[name])
        else:
            _dig(branch, members[name], found)
