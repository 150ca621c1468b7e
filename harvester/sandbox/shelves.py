"""A table of rows with the names of its key and its time, so that a fault can change any provider's rows alike."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harvester.sandbox.records import Row, Table, json_bytes, render

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class Shelf(msgspec.Struct, frozen=True, kw_only=True):
    """One live table. Names may descend: ``StandardFields.ModificationTimestamp``."""

    table: Table
    key: tuple[str, ...]
    modified: str | None = None  # None: its rows have no modification time

    def put_time(self, row: Row, text: str, instant: int, *, mark: str = "") -> None:
        """Give *row* another modification time, and where *mark* is given another text somewhere."""
        if self.modified is None:
            return
        body = _with(row.body, self.modified, json_bytes(text))
        if mark:
            body = self._scrawled(body, mark)
        self.table.put(Row(row.key, body, modified=text, instant=instant, extra=row.extra))

    def scrawl(self, row: Row, mark: str) -> None:
        """Change a text of *row* without giving it another modification time."""
        body = self._scrawled(row.body, mark)
        self.table.put(Row(row.key, body, modified=row.modified, instant=row.instant, extra=row.extra))

    def marked(self, record: bytes, *, as_of: bytes) -> bytes:
        """*record* as an older version: with the time of the record *as_of*, and another text somewhere."""
        if self.modified is None:
            return record
        return self._scrawled(_with(record, self.modified, _value(as_of, self.modified)), "an older version")

    def key_of(self, record: bytes) -> str:
        """The first member of the record's key as text."""
        return str(msgspec.json.decode(_value(record, self.key[0])))

    def with_key(self, record: bytes, value: bytes | None) -> bytes:
        """*record* with another value for the first member of its key; None: without it."""
        return _with(record, self.key[0], value)

    def _scrawled(self, body: bytes, mark: str) -> bytes:
        """*body* with *mark* in the last member that holds text and is neither key nor time."""
        *parents, last = (self.modified or "").split(".")
        members = _members(_value(body, ".".join(parents)) if parents else body)
        kept = {last, *(name.rpartition(".")[2] for name in self.key)}
        name = next((each for each in reversed(members) if members[each][:1] == b'"' and each not in kept), None)
        return body if name is None else _with(body, ".".join((*parents, name)), json_bytes(mark))


def _members(body: bytes) -> dict[str, bytes]:
    return {name: bytes(value) for name, value in _MEMBERS.decode(body).items()}


def _value(body: bytes, path: str) -> bytes:
    for name in path.split("."):
        body = _members(body).get(name, b"null")
    return body


def _with(body: bytes, path: str, value: bytes | None) -> bytes:
    """*body* with *value* at *path*, in its place; None: without it."""
    name, _, rest = path.partition(".")
    members: Mapping[str, bytes] = _members(body)
    if rest:
        value = _with(members[name], rest, value)
    if value is None:
        return render({each: held for each, held in members.items() if each != name})
    return render({**members, name: value})
