"""Keys and tokens that never change (FAULTS A04, E04)."""

from __future__ import annotations

import pytest

from harvester.auth.api_key import ApiKey
from harvester.auth.bearer import Bearer
from harvester.contracts import AuthScheme
from harvester.errors import ConfigError
from harvester.model import Request
from tests.fakes.clock import FakeClock
from tests.fakes.credential import FakeCredential
from tests.fakes.transport import ScriptedTransport, answer

ASK = Request(url="https://api.example.com/x", headers=(("Accept", "a"),))
IDX = ApiKey({"accesskey": "access_key", "ancillarykey": "ancillary_key?"})


async def headers(scheme: AuthScheme, **secrets: str) -> tuple[tuple[str, str], ...]:
    transport = ScriptedTransport([answer()])
    auth = scheme.bind(FakeCredential(**secrets), transport, FakeClock())
    await auth.prepare()
    request, mark = await auth.authorize(ASK)
    assert not await auth.renew(mark)
    assert transport.requests == []
    assert "secret" not in mark
    return request.headers


async def test_each_key_goes_into_its_header() -> None:
    sent = await headers(IDX, access_key="k-1", ancillary_key="k-2")
    assert sent == (("Accept", "a"), ("accesskey", "k-1"), ("ancillarykey", "k-2"))


async def test_an_optional_key_may_be_absent() -> None:
    assert await headers(IDX, access_key="k-1") == (("Accept", "a"), ("accesskey", "k-1"))
    assert IDX.secrets() == ("access_key",)


async def test_a_token_goes_behind_its_scheme() -> None:
    assert await headers(Bearer(), token="t") == (("Accept", "a"), ("Authorization", "Bearer t"))
    assert await headers(Bearer(secret="access_key", scheme="OAuth"), access_key="t") == (
        ("Accept", "a"),
        ("Authorization", "OAuth t"),
    )


@pytest.mark.parametrize("scheme", [IDX, Bearer(secret="access_key")])
@pytest.mark.parametrize(
    "value", ["", "secret\n", "secret\r\nX-Evil: 1", "two secrets", "secret\x00", "sécret", "s" * 20_000]
)
def test_a_secret_that_no_header_may_hold_is_refused_and_not_shown(scheme: AuthScheme, value: str) -> None:
    """FAULTS A04: its key is named, the value is not."""
    with pytest.raises(ConfigError, match="access_key") as caught:
        scheme.bind(FakeCredential(access_key=value), ScriptedTransport([answer()]), FakeClock())
    assert not value or value not in str(caught.value)


async def test_the_bound_scheme_does_not_show_its_secret() -> None:
    """FAULTS E04."""
    auth = Bearer().bind(FakeCredential(token="canary"), ScriptedTransport([answer()]), FakeClock())
    request, _ = await auth.authorize(ASK)
    assert "canary" not in repr(auth) + repr(request) + str(request)


def test_fixed_schemes_have_no_token_endpoint() -> None:
    for scheme in (IDX, Bearer()):
        assert scheme.token_endpoint(FakeCredential(token_url="https://x")) is None
        assert not scheme.tokens_count
