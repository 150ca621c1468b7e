"""A token as it is written down for the next run, and what of it can be trusted when it is read again. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from harvester.auth.header_value import is_header_safe
from harvester.auth.token_answer import LONGEST_LIFE, GrantedToken


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    value: str
    life: float  # seconds from *at*
    at: datetime  # aware UTC, when it was asked for


class Recalled(msgspec.Struct, frozen=True):
    """A token that was kept."""

    granted: GrantedToken
    age: float  # seconds since it was asked for
    mark: str  # tells it from others without giving it away


def kept(granted: GrantedToken, at: datetime) -> bytes:
    """The document of a token asked for at *at* (aware UTC)."""
    return msgspec.json.encode(_Document(value=granted.value, life=granted.life, at=at))


def recalled(document: bytes | None, now: datetime) -> Recalled | None:
    """The token in *document*; None: there is none, it cannot be read, or it is from the future (FAULTS A07, C02)."""
    if document is None:
        return None
    try:
        found = msgspec.json.decode(document, type=_Document)
        age = (now - found.at).total_seconds()
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
        return None
    if not is_header_safe(found.value) or not 0 < found.life <= LONGEST_LIFE or not 0 <= age < found.life:
        return None
    return Recalled(GrantedToken(found.value, found.life), age, f"of {found.at:%H:%M:%S.%f}")
