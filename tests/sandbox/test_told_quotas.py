"""A quota that a server tells in the fields of one kind or another, as their documentation shows them."""

from __future__ import annotations

import pytest

from harvester.sandbox import oddities
from tests.sandbox.test_odata_server import get, sandbox

TOLD = {  # the clock stands at noon; the minute ends 17 s later, the hour after 20 minutes and 34 s
    "trestle": {
        "Minute-Quota-Limit": "3.0", "Minute-Quota-Available": "2.0", "Minute-Quota-ResetTime": "1772366417000",
        "Hour-Quota-Limit": "120.0", "Hour-Quota-Available": "119.0", "Hour-Quota-ResetTime": "1772367634000",
    },
    "bridge": {
        "Burst-RateLimit-Limit": "3", "Burst-RateLimit-Remaining": "2",
        "Burst-RateLimit-Reset": "2026-03-01T12:00:17.000Z",
        "Application-RateLimit-Limit": "120", "Application-RateLimit-Remaining": "119",
        "Application-RateLimit-Reset": "2026-03-01T12:20:34.000Z",
    },
    "ietf": {
        "RateLimit-Policy": '"hour";q=120;w=3600', "RateLimit": '"minute";r=2;t=17, "hour";r=119;t=1234',
    },
    "ratelimit": {"X-RateLimit-Limit": "3", "X-RateLimit-Remaining": "2", "X-RateLimit-Reset": "1772366417"},
}  # fmt: skip


@pytest.mark.parametrize("dialect", TOLD)
async def test_every_answer_tells_what_is_left_and_a_refusal_too(dialect: str) -> None:
    served = sandbox(20, f"quota-{dialect}-3")
    target = f"/odata_server/quota-{dialect}-3/Property"
    first, *others = [await get(served, target) for _ in range(4)]
    assert TOLD[dialect].items() <= dict(first.headers).items()
    assert [reply.status for reply in others] == [200, 200, 429]
    assert "Retry-After" not in dict(others[-1].headers)
    assert [entry.over for entry in served.log] == ["", "", "", "1m"]


def test_the_word_names_dialect_and_limit() -> None:
    assert oddities.parse("cap-5,quota-bridge-20").quota == ("bridge", 20)
    with pytest.raises(ValueError, match="quota-klingon-20"):
        oddities.parse("quota-klingon-20")
