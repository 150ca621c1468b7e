"""Is a post from who it says: a shared secret in a header, or a Standard Webhooks signature. Pure.

Source: Standard Webhooks specification 1.0 (symmetric ``v1`` signatures).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from harvester.errors import ConfigError
from harvester.provider import Guard

TOLERANCE = 300.0  # seconds a signed post may be old, or ahead of this clock

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_PREFIX = "whsec_"
_LEAST = 16  # bytes of a signing key; less can be guessed


def guard(secrets: Sequence[str], header: str) -> Guard:
    """Who may post, as *secrets* decide; (): everybody. Several are good while one is being replaced (FAULTS W01).

    A secret with ``whsec_`` in front signs posts; any other one stands in *header* itself. Only a signature vouches
    for the id of a post.

    Raises:
        ConfigError: a signing secret is none.
    """
    keys = tuple(signing_key(secret) for secret in secrets if secret.startswith(_PREFIX))
    shared = tuple(secret for secret in secrets if not secret.startswith(_PREFIX))

    def admits(body: bytes, headers: Mapping[str, str], now: datetime) -> str | None:
        known = [has_secret(headers, header, secret) for secret in shared]
        if keys and is_signed(body, headers, keys, now):
            return headers["webhook-id"]
        return "" if any(known) or not secrets else None

    return admits


def signing_key(secret: str) -> bytes:
    """The key in a Standard Webhooks secret: base64, with or without ``whsec_`` in front.

    Raises:
        ConfigError: it is no base64, or shorter than 16 bytes. The secret is not in the message.
    """
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError("a signing secret is base64, usually with whsec_ in front; this one is not") from error
    if len(key) < _LEAST:
        raise ConfigError(f"a signing secret holds at least {_LEAST} bytes; this one has {len(key)}")
    return key


def is_signed(body: bytes, headers: Mapping[str, str], keys: tuple[bytes, ...], now: datetime) -> bool:
    """Whether ``webhook-signature`` holds a signature of this post by one of *keys*, made within ``TOLERANCE``.

    Args:
        headers: names in lower case.
        keys: several while a secret is being replaced.
        now: aware UTC. A post older than the tolerance may be one that somebody kept and sends again.
    """
    name, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    # A byte that is no UTF-8 comes as half a character, and can be neither signed nor written down.
    if not name or not name.isprintable() or not _SECONDS.fullmatch(moment):
        return False
    if abs(now.astimezone(UTC).timestamp() - int(moment)) > TOLERANCE:
        return False
    signed = f"{name}.{moment}.".encode() + body
    wanted = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    given = [
        value.encode("utf-8", "replace")
        for version, _, value in (part.partition(",") for part in headers.get("webhook-signature", "").split(" "))
        if version == "v1"
    ]
    # Every pair is compared, and each in constant time: how long it takes tells nothing of the key.
    return sum(hmac.compare_digest(one, other) for one in wanted for other in given) > 0


def has_secret(headers: Mapping[str, str], header: str, secret: str) -> bool:
    """Whether *header* (any case) holds *secret*, as it is or as ``Bearer <secret>``; compared in constant time."""
    given = headers.get(header.lower(), "").encode("utf-8", "replace")
    plain, bearer = secret.encode(), b"Bearer " + secret.encode()
    return hmac.compare_digest(given, plain) | hmac.compare_digest(given, bearer)
