"""A token that does not expire, in the ``Authorization`` header."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harvester.auth.fixed_headers import FixedHeaders
from harvester.auth.header_value import required
from harvester.contracts import Auth, Clock, Credential, TokenKeeper, Transport


@dataclass(frozen=True)
class Bearer:
    """``Authorization: <scheme> <token>``. *secret*: the configuration key that holds the token."""

    secret: str = "token"  # noqa: S105 - the name of a key, not a secret
    scheme: str = "Bearer"
    tokens_count: bool = False

    def secrets(self) -> Sequence[str]:
        return (self.secret,)

    def takes(self) -> Sequence[str]:
        return self.secrets()

    def token_endpoint(self, credential: Credential) -> str | None:
        return None

    def bind(
        self, credential: Credential, transport: Transport, clock: Clock, keeper: TokenKeeper | None = None
    ) -> Auth:
        """Raises ``ConfigError`` for a missing or unfit token."""
        return FixedHeaders((("Authorization", f"{self.scheme} {required(credential, self.secret)}"),))
