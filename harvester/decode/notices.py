"""Webhook bodies become notices: what Centris posts, and RESO EntityEvent records.

Both say which record of which resource may have changed. Nothing else in a body is believed: the record is fetched
from the provider itself.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

from harvester.errors import ProtocolError
from harvester.model import Notice

MAX_NOTICES = 10_000  # of one post; more is no batch of changes

_LONGEST = 1_024  # characters of a key or a resource name
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class _Post(Struct, frozen=True, rename="pascal"):
    resource_name: str
    resource_record_key: str | int
    resource_record_url: str | None = None
    entity_event_sequence: str | int | None = None


class _Collection(Struct, frozen=True):
    value: list[Raw]


def read_notices(body: bytes) -> tuple[Notice, ...]:
    """The notices of one post: an object, an array of them, or ``{"value": [...]}`` as of EntityEvent.

    Raises:
        ProtocolError: the body is none of these, names no record, or holds more than ``MAX_NOTICES``. One bad entry
            refuses the whole post: the sender learns of it, and polling brings the records anyway.

    Source: Centris contract, section 9; RESO EntityEvent resource (RCP-027).
    """
    entries = _entries(body)
    if len(entries) > MAX_NOTICES:
        raise ProtocolError(f"a webhook with {len(entries):,} notices; at most {MAX_NOTICES:,} are taken")
    return tuple(map(_notice, entries))


def _entries(body: bytes) -> list[Raw]:
    try:
        match body.lstrip(b" \t\r\n")[:1]:
            case b"[":
                return msgspec.json.decode(body, type=list[Raw])
            case b"{":
                members = msgspec.json.decode(body, type=dict[str, Raw])
                if "ResourceName" in members or "value" not in members:
                    return [Raw(body)]
                return msgspec.json.decode(body, type=_Collection).value
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a webhook whose body is no JSON of notices: {error}") from error
    raise ProtocolError("a webhook whose body is neither an object nor an array")


def _notice(entry: Raw) -> Notice:
    try:
        post = msgspec.json.decode(entry, type=_Post)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(f"a webhook notice that names no record: {error}") from error
    key = str(post.resource_record_key)
    for name, text in (("ResourceName", post.resource_name), ("ResourceRecordKey", key)):
        if not text.strip() or len(text) > _LONGEST or _UNPRINTABLE.search(text):
            raise ProtocolError(f"a webhook notice whose {name} is empty, too long or unprintable")
    sequence = post.entity_event_sequence
    return Notice(
        resource=post.resource_name,
        key=key,
        url=post.resource_record_url or None,
        event="" if sequence is None else str(sequence)[:_LONGEST],
    )
