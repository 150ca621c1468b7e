"""Answers made up by chance, as many as wanted: ``python -m tests.governor.fuzz 1000000``.

Each is read in every dialect and told to an account. Hypothesis looks for the smallest failure among hundreds; this
looks at very many, quickly, and names the seed of one that fails.
"""

from __future__ import annotations

import math
import random
import sys
from datetime import UTC, datetime

from harvester.governor.account import LONGEST, Account
from harvester.governor.signals import DIALECTS, any_signal
from harvester.governor.signals.dated import dated
from harvester.model import Budget, Headers, RateSignal, Response, Window

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
STATUSES = (200, 200, 204, 412, 429, 429, 500, 503)
PERIODS = ("Second", "Minute", "Hour", "Day")
NAMES = (
    "Retry-After", "Date", "RateLimit", "RateLimit-Policy", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset",
    "Hourly-Access-Key-Usage",
    *(f"{prefix}{field}" for prefix in ("X-RateLimit-", "X-Rate-Limit-", "Burst-RateLimit-", "Application-RateLimit-")
      for field in ("Limit", "Remaining", "Reset", "Used", "Reset-After", "Limit-Hour", "Remaining-Hour")),
    *(f"{period}-Quota-{field}" for period in PERIODS for field in ("Limit", "Available", "Remaining", "ResetTime")),
)  # fmt: skip
SHAPES = (
    '"day";q=1000;w=86400', '"day";r=5;t=3', '"v";q=4000000000;w=3600;qu="content-bytes"', '"v";r=10;t=9',
    '"c";q=5;qu="concurrent-requests"', "default;q=10;w=1;pk=:QXBwLTk5OQ==:", "limit=100, remaining=50, reset=30",
    "100, 100;w=60, 5000;w=86400", "1d", "6m0s", "250ms", "7200.0", "0", "-1", "41", "1e9", "nan", "inf", "0.5",
    "1772366430", "1772366430000", "99999999999999999999", "2026-03-01T12:54:05.528Z", "2026-03-01T12:00:30.0000000Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:60-23:59", "Sun, 01 Mar 2026 12:01:30 GMT",
    "Sunday, 01-Mar-26 12:01:30 GMT", "Sun Mar  1 12:01:30 2026", "Mon, 31 Dec 9999 23:59:60 GMT", "\u0663", '"', ";;,",
)  # fmt: skip
BODIES = (
    b'{"error": "Rate limit exceeded: 1050/1000 requests per hour", "retry_after": 3600}',
    b'{"error": {"code": 429, "message": "21/20 requests per minute"}, "retry_after": "90"}', b'{"retry_after": 1e400}',
    b"Quota exceeded. Maximum allowed: 20 per 1m. Please try again in 41 second(s).", b"Maximum allowed: 0 per 0d",
    b'{"D": {"Success": false, "Code": 1550, "Message": "Over rate limit"}}', b'{"D": {"Code": [1550]}}', b"<html>",
)  # fmt: skip
ALPHABET = '0123456789.,;=:"-+ eE/TZGMTwqrtnaif\u0661\x00\x85{}[]\\'


def answer(chance: random.Random) -> Response:
    """A response nobody would send, near enough to ones that are sent."""
    fields = [(chance.choice(NAMES), _value(chance)) for _ in range(chance.randrange(7))]
    body = bytearray(chance.choice(BODIES)) if chance.random() < 0.7 else bytearray(chance.randbytes(40))
    for _ in range(chance.randrange(4) if body else 0):
        body[chance.randrange(len(body))] = chance.randrange(256)
    return Response(status=chance.choice(STATUSES), headers=Headers(fields), body=bytes(body), url="https://x.example/")


def _value(chance: random.Random) -> str:
    if chance.random() < 0.1:
        return str(chance.choice((chance.randrange(-(2**70), 2**70), chance.gauss(0, 1e12), chance.random())))
    text = list(",".join(chance.choice(SHAPES) for _ in range(1 + (chance.random() < 0.2))))
    for _ in range(chance.choice((0, 0, 1, 2, 5))):
        place = chance.randrange(len(text) + 1)
        text[place : place + chance.randrange(2)] = chance.choice(ALPHABET) * chance.choice((1, 1, 1, 30))
    return "".join(text)


def check(signal: RateSignal) -> None:
    """No impossible figure. Raises AssertionError."""
    assert signal.retry_after is None or 0.0 <= signal.retry_after <= 400 * 86_400.0, signal
    assert signal.open_at_most is None or signal.open_at_most > 0, signal
    assert signal.evidence.isprintable(), signal
    for window in signal.windows:
        for figure in (window.seconds, window.resets_in):
            assert figure is None or (math.isfinite(figure) and figure >= 0), signal
        for count in (window.limit, window.used, window.remaining):
            assert count is None or count >= 0, signal


def play(seed: int) -> None:
    """One credential's day: twenty answers, read in every dialect; the account hears what an unknown server says."""
    chance = random.Random(seed)
    windows = (Window(seconds=20, requests=5), Window(seconds=60, requests=20), Window(seconds=3600, bytes=10_000))
    account = Account(Budget(windows=windows))
    now = 0.0
    for number in range(20):
        now += chance.expovariate(0.1)
        account.sending(now)
        account.opened(number, now)
        response = answer(chance)
        for dialect in DIALECTS.values():
            check(dialect.read(response, NOW))
        signal = dated(any_signal)(response, NOW)
        check(signal)
        for window in signal.windows:
            account.hear(window, now)
        account.settled(number, now, chance.randrange(2000))
        hold = account.hold(now)
        # 400 days are the longest Reset that is believed; the caller's own patience ends a run long before.
        assert 0.0 <= hold.known <= hold.seconds <= LONGEST + 60.0, hold


def main(count: int, first: int = 0) -> None:
    for seed in range(first, first + math.ceil(count / 20)):
        try:
            play(seed)
        except Exception:
            print(f"seed {seed} fails", file=sys.stderr)
            raise


if __name__ == "__main__":
    main(*(int(each) for each in sys.argv[1:3]))
    print("every answer was read")
