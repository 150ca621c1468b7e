"""The six shapes of IDX Broker answers, all turned into records (IDX Broker contract, section 6).

A shape belongs to a method, not to the API, and the newest version wraps some of them once more. Values are never
built: numbers, escapes and member order stay as the provider wrote them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec
from msgspec import Raw

from harvester.decode.complaints import complaint
from harvester.decode.envelopes import empty_page, make_page
from harvester.decode.idx_rescue import rescue_shape
from harvester.decode.lines import make_stamp, put_stamp
from harvester.decode.utf8 import is_utf8
from harvester.decode.withheld import without_members
from harvester.errors import ProtocolError
from harvester.model import Action, Page, PageRequest, Rejected, Response, Walk

_MAPPING = msgspec.json.Decoder(dict[str, Raw])
_LIST = msgspec.json.Decoder(list[Raw])
_VALUE = msgspec.json.Decoder(Raw)
_LINKS = frozenset({"total", "first", "previous", "next", "last"})
_WORD = re.compile(r"[A-Za-z]+")
_CHARSET = re.compile(r"charset=\"?([\w-]+)")


class _Opened(msgspec.Struct, frozen=True):
    records: list[Raw]
    link: str | None = None
    total: int | None = None


class IdxEnvelope:
    """Opens IDX Broker answers of every shape; ``_key`` and ``value`` are put in where a record has no other name.

    Args:
        whole: resources whose answer is one record even when all its members are objects.
        withheld: resource to fragments of member names that are dropped before anything is written, because
            the members are credentials; see ``withheld.without_members``.
    """

    def __init__(
        self, *, whole: frozenset[str] = frozenset(), withheld: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        self._whole = whole
        self._withheld = dict(withheld or {})

    def open(self, response: Response, request: PageRequest, walk: Walk) -> Page:
        """The records of *response*.

        Raises:
            ProtocolError: it is no JSON in UTF-8 (XML, HTML, a PHP message), or none of the shapes.
        """
        if response.verdict.action is Action.EMPTY:
            return empty_page(response, request)
        opened, rejected = self._rescued(_json_text(response, walk), walk)
        fragments = self._withheld.get(walk.resource.name)
        if fragments:
            opened = _Opened(
                [without_members(record, fragments) for record in opened.records], opened.link, opened.total
            )
            # What cannot be read cannot be searched for credentials either, so nothing of it is kept.
            rejected = tuple(Rejected(b"{}", each.reason) for each in rejected)
        return make_page(response, request, walk, opened.records, rejected, link=opened.link, count=opened.total)

    def _rescued(self, body: bytes, walk: Walk) -> tuple[_Opened, tuple[Rejected, ...]]:
        """*body* opened, if need be without the records that cannot be read."""
        try:
            if is_utf8(body):
                return self._opened(body, walk), ()
            problem = "it is not UTF-8"
        except (msgspec.DecodeError, RecursionError) as error:
            problem = complaint(error)
        rescued = rescue_shape(body)
        if rescued is not None and is_utf8(rescued.body):
            try:
                return self._opened(rescued.body, walk), rescued.rejected
            except (msgspec.DecodeError, RecursionError) as error:
                problem = complaint(error)
        raise ProtocolError(f"{walk.resource.name}: an answer of {len(body):,} bytes cannot be read: {problem}.")

    def _opened(self, body: bytes, walk: Walk) -> _Opened:
        if not body.startswith(b"{"):
            return _Opened(self._records(body, walk))
        members = _MAPPING.decode(body)
        if "data" in members and _LINKS & members.keys():
            data = bytes(members["data"])
            if not data.startswith((b"[", b"{")):
                raise ProtocolError(f"{walk.resource.name}: the page holds no records in its member data.")
            return _Opened(self._records(data, walk), _link(members), _total(members))
        return _Opened(self._of_mapping(body, members, walk))

    def _records(self, body: bytes, walk: Walk) -> list[Raw]:
        if body.startswith(b"{"):
            return self._of_mapping(body, _MAPPING.decode(body), walk)
        if body.startswith(b"["):
            items = _LIST.decode(body)
            return items if all(map(_is_object, items)) else [_scalar(item, walk) for item in items]
        return [_scalar(_VALUE.decode(body), walk)]

    def _of_mapping(self, body: bytes, members: Mapping[str, Raw], walk: Walk) -> list[Raw]:
        if not members:
            return []
        if walk.resource.name in self._whole:
            return [Raw(body)]
        if all(map(_is_object, members.values())):
            # The order of the keys carries no meaning, and their text is opaque: it is kept, never read.
            return [Raw(put_stamp(make_stamp([("_key", key)]), value)) for key, value in members.items()]
        if len(members) == 1:
            [(name, value)] = members.items()
            # A wrapper is named by a word (``agent``); a lone id in front of a list would be lost as a wrapper.
            if _WORD.fullmatch(name) and bytes(value).startswith(b"["):
                items = _LIST.decode(value)
                if all(map(_is_object, items)):
                    return items
        return [Raw(body)]


def _scalar(value: Raw, walk: Walk) -> Raw:
    text = bytes(value)
    if text.startswith((b"[", b"{")) or text == b"null":
        raise ProtocolError(f"{walk.resource.name}: the answer has no shape that is known.")
    if walk.resource.key:
        raise ProtocolError(f"{walk.resource.name}: a bare value came where records with a key belong.")
    return Raw(b'{"value":%b}' % text)


def _is_object(value: Raw) -> bool:
    return bytes(memoryview(value)[:1]) == b"{"


def _link(members: Mapping[str, Raw]) -> str | None:
    return msgspec.json.decode(members["next"], type=str | None) if "next" in members else None


def _total(members: Mapping[str, Raw]) -> int | None:
    """The claimed total, which some methods write as text; None when it is no number: it is only a hint."""
    text = bytes(members.get("total", Raw(b""))).strip(b'"')
    return int(text) if text.isdigit() and len(text) < 16 else None


def _json_text(response: Response, walk: Walk) -> bytes:
    """The body if it can be JSON in UTF-8; a byte order mark and blanks around it are left out (FAULTS H12, D09)."""
    body = response.body.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    name, kind = walk.resource.name, response.headers.get("content-type", "").lower()
    if "xml" in kind or body.startswith(b"<?xml"):
        raise ProtocolError(
            f"{name}: the answer is XML although both format headers ask for JSON; nothing of it was written. "
            "Set the output format of the account to JSON, or ask the provider why outputtype has no effect."
        )
    charset = _CHARSET.search(kind)
    if charset is not None and charset[1] not in {"utf-8", "utf8", "us-ascii"}:
        raise ProtocolError(f"{name}: the answer is in {charset[1]}; only JSON in UTF-8 can be kept as it is.")
    if not body:
        raise ProtocolError(f"{name}: the answer has no body; an empty set is said with status 204.")
    if body[0] not in b'{["-0123456789tfn':
        raise ProtocolError(f"{name}: the answer is no JSON: it begins with text, such as a warning of the server.")
    return body
