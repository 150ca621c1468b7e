"""Bearer tokens as an identity provider keeps them: issued, used, expired by age or by silence."""

from __future__ import annotations

import base64
from random import Random

import orjson


class _Token:
    __slots__ = ("client", "issued", "used")

    def __init__(self, client: str, now: float) -> None:
        self.client = client
        self.issued = now
        self.used = now


class Tokens:
    """Every token issued so far that has not ended.

    Args:
        lifetime: seconds from issue; None: age does not end a token.
        idle: seconds from the last use; None: silence does not end a token.
    """

    def __init__(self, rng: Random, *, issuer: str, lifetime: float | None, idle: float | None = None) -> None:
        self._rng = rng
        self._issuer = issuer
        self._lifetime = lifetime
        self._idle = idle
        self._live: dict[str, _Token] = {}
        self.issued = 0

    def issue(self, client: str, now: float) -> str:
        """A new token for *client*, in the shape of a JWT (its signature is chance)."""
        self.issued += 1
        head = {"alg": "RS256", "typ": "JWT"}
        claims = {"iss": self._issuer, "sub": client, "jti": self.issued}
        token = ".".join((_part(orjson.dumps(head)), _part(orjson.dumps(claims)), _part(self._rng.randbytes(32))))
        self._live[token] = _Token(client, now)
        return token

    def client_of(self, token: str, now: float) -> str | None:
        """Whose token this is, noting its use; None when it was never issued or has ended."""
        live = self._live.get(token)
        if live is None:
            return None
        old = self._lifetime is not None and now >= live.issued + self._lifetime
        silent = self._idle is not None and now >= live.used + self._idle
        if old or silent:
            del self._live[token]
            return None
        live.used = now
        return live.client

    def issued_to(self, token: str) -> str | None:
        """Whose token this is or was, without noting a use; None: it is not known any more."""
        live = self._live.get(token)
        return None if live is None else live.client

    def expire_all(self) -> None:
        self._live.clear()


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def bearer(value: str | None) -> str:
    """The token of an ``Authorization: Bearer`` value; "" when it is absent or of another scheme."""
    scheme, _, token = (value or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""
