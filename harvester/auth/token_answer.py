"""What a token endpoint's answer says, with nothing in it trusted (FAULTS A04); pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from harvester.auth.header_value import is_header_safe
from harvester.errors import ProtocolError

DEFAULT_LIFE = 3600.0  # seconds, where the answer gives no usable ``expires_in``
LONGEST_LIFE = 86400.0  # nothing is believed to live longer than a day
_CODE = re.compile(r"[A-Za-z0-9 _.:,'-]{1,80}")


class GrantedToken(msgspec.Struct, frozen=True):
    """A token and its life in seconds from the answer."""

    value: str
    life: float

    def __repr__(self) -> str:
        return f"GrantedToken(***, {self.life:g} s)"


def read_token(body: bytes) -> GrantedToken:
    """The token in a successful answer (RFC 6749, section 5.1).

    ``expires_in`` may be a number or digits in a string. Missing, zero, negative or anything else means
    ``DEFAULT_LIFE``; more than a day means a day.

    Raises:
        ProtocolError: no JSON object, no usable ``access_token``, or a type other than bearer. A value that could
            end a header is refused. Nothing of the body is shown.
    """
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ProtocolError("The token endpoint's answer is not a JSON object.") from exc
    value = answer.get("access_token")
    if not isinstance(value, str) or not is_header_safe(value):
        raise ProtocolError("The token endpoint's answer holds no access_token that a header may hold.")
    kind = answer.get("token_type")
    if kind is not None and (not isinstance(kind, str) or kind.lower() != "bearer"):
        raise ProtocolError("The token endpoint's answer is not a bearer token.")
    return GrantedToken(value, _life(answer.get("expires_in")))


def _life(stated: object) -> float:
    if isinstance(stated, str) and stated.isascii() and stated.isdigit() and len(stated) < 16:
        stated = int(stated)
    if isinstance(stated, bool) or not isinstance(stated, int | float) or not stated > 0:
        return DEFAULT_LIFE
    return float(min(max(stated, 1.0), LONGEST_LIFE))


def error_code(body: bytes, secrets: Sequence[str]) -> str:
    """The error an unsuccessful answer names (RFC 6749, section 5.2), if it is short, plain and no echo; else ""."""
    try:
        answer = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    code = answer.get("error")
    if not isinstance(code, str) or not _CODE.fullmatch(code) or any(secret in code for secret in secrets if secret):
        return ""
    return code
