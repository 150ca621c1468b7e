"""Any OData server: a fixed token or client credentials, whichever is configured."""

from __future__ import annotations

import pytest

from harvester.errors import ConfigError
from harvester.model import Request, Response
from harvester.providers.odata import TokenOrClient
from tests.fakes.clock import FakeClock


class Given:
    """Secrets as configured."""

    token_url: str | None = "https://id.example/token"
    scope: str | None = None

    def __init__(self, **secrets: str) -> None:
        self._secrets = secrets

    def reveal(self, name: str) -> str | None:
        return self._secrets.get(name)


class NoTransport:
    async def send(self, request: Request) -> Response:
        raise AssertionError("nothing may be sent")


async def test_a_token_is_used_as_it_is() -> None:
    given = Given(token="T")
    assert TokenOrClient().token_endpoint(given) is None
    auth = TokenOrClient().bind(given, NoTransport(), FakeClock())
    request, _ = await auth.authorize(Request(url="https://h/odata/Property"))
    assert ("Authorization", "Bearer T") in request.headers


def test_client_credentials_name_their_endpoint() -> None:
    given = Given(client_id="i", client_secret="s")
    assert TokenOrClient().token_endpoint(given) == "https://id.example/token"


def test_neither_is_told() -> None:
    with pytest.raises(ConfigError, match="client_id and client_secret"):
        TokenOrClient().bind(Given(), NoTransport(), FakeClock())
