"""Continuation tokens: opaque to the client, bound to the query they were issued for, and to a position by key.

A token names the last key served, so rows inserted or deleted elsewhere never move what follows.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from hashlib import blake2b


class TokenRefused(Exception):
    """The token is unknown, was issued for another query, or by a server that is no more."""


class SkipTokens:
    """Issues and reads tokens. Nothing is stored: the seal in a token proves which *secret* and query made it."""

    def __init__(self, secret: str) -> None:
        self._secret = blake2b(secret.encode(), digest_size=32).digest()

    def issue(self, key: str, query: str) -> str:
        """A token that goes on behind *key* in the answers to *query*. Holds ``+``, ``/`` and ``=`` at times."""
        place = key.encode()
        return b64encode(self._seal(place, query) + place).decode()

    def read(self, token: str, query: str) -> str:
        """The key behind which to go on. Raises ``TokenRefused``."""
        try:
            raw = b64decode(token, validate=True)
            key = raw[_SEAL:].decode()
        except (NotBase64, ValueError):
            raise TokenRefused from None
        if raw[:_SEAL] != self._seal(key.encode(), query):
            raise TokenRefused
        return key

    def _seal(self, place: bytes, query: str) -> bytes:
        return blake2b(query.encode() + b"\0" + place, key=self._secret, digest_size=_SEAL).digest()


_SEAL = 12
