"""Keys in headers of their own, the same on every request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harvester.auth.fixed_headers import FixedHeaders
from harvester.auth.header_value import optional, required
from harvester.contracts import Auth, Clock, Credential, TokenKeeper, Transport


@dataclass(frozen=True)
class ApiKey:
    """*headers*: header name to the configuration key of its secret; a ``?`` behind the key makes it optional.

    ``ApiKey({"accesskey": "access_key", "ancillarykey": "ancillary_key?"})``
    """

    headers: Mapping[str, str]
    tokens_count: bool = False

    def secrets(self) -> Sequence[str]:
        return tuple(key for key in self.headers.values() if not key.endswith("?"))

    def takes(self) -> Sequence[str]:
        return tuple(key.removesuffix("?") for key in self.headers.values())

    def token_endpoint(self, credential: Credential) -> str | None:
        return None

    def bind(
        self, credential: Credential, transport: Transport, clock: Clock, keeper: TokenKeeper | None = None
    ) -> Auth:
        """Raises ``ConfigError`` for a missing or unfit key."""
        fields = []
        for header, key in self.headers.items():
            value = optional(credential, key[:-1]) if key.endswith("?") else required(credential, key)
            if value is not None:
                fields.append((header, value))
        return FixedHeaders(tuple(fields))
