"""A page of any simulated provider, taken apart: its records, its link, its count; and put together again.

For faults that change what a page says. The client's own envelopes are not used: they might share a mistake.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from harvester.sandbox.records import array, render

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LIST = msgspec.json.Decoder(list[msgspec.Raw])


class _Form(msgspec.Struct, frozen=True):
    """Names of the members that hold the records, the link and the count; "": there is none."""

    records: str
    link: str
    count: str


_ODATA = _Form("value", "@odata.nextLink", "@odata.count")
_SPARK = _Form("Results", "SkipToken", "")
_PAGED = _Form("data", "next", "total")


class PageBody:
    """One page. Change *records*, *link* and *count*, then ``render``."""

    def __init__(self, members: Mapping[str, bytes], form: _Form | None, *, wrapped: bool = False) -> None:
        self._members = dict(members)
        self._form = form
        self._wrapped = wrapped  # in ``D``
        held = self._members[form.records] if form is not None and form.records else b""
        self.names: list[str] | None = None  # of the records, where they are told by name
        if form is None:
            self.names, self.records = list(self._members), list(self._members.values())
        elif held[:1] == b"{":
            named = {name: bytes(value) for name, value in _OBJECT.decode(held).items()}
            self.names, self.records = list(named), list(named.values())
        else:
            self.records = [bytes(each) for each in _LIST.decode(held)]
        self.link: str | None = self._text(form.link) if form is not None else None
        self.count: object = self._value(form.count) if form is not None else None

    @property
    def is_token(self) -> bool:
        """Whether the link is a token and no URL."""
        return self._form is _SPARK

    @property
    def is_whole(self) -> bool:
        """Whether this kind of page has neither links nor counts: one answer is everything."""
        return self._form is None

    def render(self) -> bytes:
        """The body, the members it had in their order."""
        if self._form is None:
            return render(dict(zip(self.names or (), self.records, strict=True)))
        members = self._members
        if self.names is not None:
            members[self._form.records] = render(dict(zip(self.names, self.records, strict=True)))
        else:
            members[self._form.records] = array(self.records)
        self._put(self._form.link, self.link, null=self._form is _PAGED)
        self._put(self._form.count, self.count)
        body = render(members)
        return b'{"D":' + body + b"}" if self._wrapped else body

    def _put(self, name: str, value: object, *, null: bool = False) -> None:
        if not name:
            return
        if value is None and not null:
            self._members.pop(name, None)
        else:
            self._members[name] = msgspec.json.encode(value)

    def _text(self, name: str) -> str | None:
        value = self._value(name)
        return value if isinstance(value, str) else None

    def _value(self, name: str) -> object:
        return msgspec.json.decode(self._members[name]) if name in self._members else None


def open_page(body: bytes) -> PageBody | None:
    """The page in *body*; None when it is none."""
    try:
        members = {name: bytes(value) for name, value in _OBJECT.decode(body).items()}
        if "D" in members:
            inner = {name: bytes(value) for name, value in _OBJECT.decode(members["D"]).items()}
            return PageBody(inner, _SPARK, wrapped=True) if "Results" in inner else None
        for form in (_ODATA, _PAGED):
            if form.records in members:
                return PageBody(members, form)
        if members and all(value[:1] == b"{" for value in members.values()):
            return PageBody(members, None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return None
