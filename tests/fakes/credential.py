"""A Credential made from keyword arguments."""

from __future__ import annotations


class FakeCredential:
    def __init__(self, *, token_url: str | None = None, scope: str | None = None, **secrets: str) -> None:
        self.token_url = token_url
        self.scope = scope
        self._secrets = secrets

    def reveal(self, name: str) -> str | None:
        return self._secrets.get(name)
