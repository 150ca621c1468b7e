"""Posts from strangers are known by their secret or signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest

from harvester.auth.webhooks import has_secret, is_signed, signing_key
from harvester.errors import ConfigError

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
BODY = b'{"ResourceName":"Property"}'


def signed(body: bytes = BODY, key: bytes = KEY, at: datetime = NOW, name: str = "msg_1") -> dict[str, str]:
    moment = str(int(at.timestamp()))
    mark = hmac.digest(key, f"{name}.{moment}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1a,other v1,{base64.b64encode(mark).decode()}",
    }


def test_a_signed_post_is_known() -> None:
    assert is_signed(BODY, signed(), (signing_key(SECRET),), NOW)


def test_the_example_of_the_specification_is_known() -> None:
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    assert is_signed(b'{"test": 2432232314}', headers, (key,), datetime.fromtimestamp(1614265330, UTC))


def test_while_a_secret_is_replaced_either_key_is_good() -> None:
    assert is_signed(BODY, signed(key=b"n" * 32), (KEY, b"n" * 32), NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {**signed(), "webhook-id": "msg_2"},
        {**signed(), "webhook-id": ""},
        {**signed(), "webhook-id": "\udcff"},  # as the server hands on a byte that is no UTF-8
        {**signed(), "webhook-timestamp": ""},
        {**signed(), "webhook-timestamp": "\uff11\uff17"},
        {**signed(), "webhook-timestamp": "9" * 40},
        {**signed(), "webhook-signature": ""},
        {**signed(), "webhook-signature": signed()["webhook-signature"].replace("v1,", "v2,")},
        {**signed(), "webhook-signature": "v1,"},
        signed(body=b"other"),
        signed(key=b"x" * 32),
        signed(at=NOW - timedelta(seconds=301)),
        signed(at=NOW + timedelta(seconds=301)),
    ],
)
def test_any_other_post_is_not(headers: dict[str, str]) -> None:
    """An old one may be a post that somebody kept and sends again."""
    assert not is_signed(BODY, headers, (KEY,), NOW)


@pytest.mark.parametrize("secret", ["", "whsec_", "not base64!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_signing_secret_that_is_none_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        signing_key(secret)
    assert not secret or secret not in str(caught.value)


def test_a_shared_secret_is_known_plain_or_as_bearer() -> None:
    assert has_secret({"authorization": "Bearer s3cret"}, "Authorization", "s3cret")
    assert has_secret({"x-hook": "s3cret"}, "X-Hook", "s3cret")
    assert not has_secret({"x-hook": "s3cre"}, "X-Hook", "s3cret")
    assert not has_secret({}, "X-Hook", "s3cret")
    assert not has_secret({"x-hook": "ünïcode"}, "X-Hook", "s3cret")
