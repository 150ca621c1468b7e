"""The end of a short window on the server's own clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from harvester.auth.bearer import Bearer
from harvester.governor.signals.dated import dated
from harvester.governor.signals.standard import standard_signal
from harvester.model import Action, Headers, Request, Response, Verdict
from harvester.wire.origin import Origin
from harvester.wire.stack import build
from tests.fakes.admission import FakeGovernor
from tests.fakes.clock import JumpingClock, SeededRng
from tests.fakes.credential import FakeCredential
from tests.fakes.transport import ScriptedTransport, answer

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_the_end_of_a_window_is_an_instant_of_the_servers_clock_whatever_ours_says() -> None:
    """FAULTS S05."""
    reset = int(datetime(2026, 3, 1, 11, 50, 1, tzinfo=UTC).timestamp())
    fields = [
        ("Date", "Sun, 01 Mar 2026 11:50:00 GMT"),
        ("X-RateLimit-Limit", "10"),
        ("X-RateLimit-Remaining", "9"),
        ("X-RateLimit-Reset", str(reset)),
    ]
    response = Response(status=200, headers=Headers(fields), body=b"", url="https://x.example/")
    for ahead in (0, 600):
        (window,) = dated(standard_signal)(response, NOW + timedelta(seconds=ahead)).windows
        assert (window.remaining, window.resets_at) == (9, reset)


def test_an_answer_without_short_windows_is_left_as_it_is() -> None:
    response = Response(status=200, headers=Headers(), body=b"", url="https://x.example/")
    assert dated(standard_signal)(response, NOW) == standard_signal(response, NOW)


async def test_the_governor_of_a_source_hears_it() -> None:
    fields = [("Date", "Sun, 01 Mar 2026 11:50:00 GMT"), ("X-RateLimit-Remaining", "9"), ("X-RateLimit-Reset", "1")]
    governor = FakeGovernor()
    way = build(
        ScriptedTransport([answer(headers=fields)]),
        source="a",
        origin=Origin.parse("https://api.example.com/v1"),
        judge=lambda _: Verdict(action=Action.USE),
        signals=standard_signal,
        auth=Bearer().bind(FakeCredential(token="t"), ScriptedTransport([answer()]), JumpingClock()),
        governor=governor,
        clock=JumpingClock(),
        rng=SeededRng(),
        sink=lambda _: None,
    )
    await way.send(Request(url="https://api.example.com/v1/Property"))
    (signal,) = governor.observed
    served = datetime(2026, 3, 1, 11, 50, 0, tzinfo=UTC)
    assert [window.resets_at for window in signal.windows] == [served.timestamp() + 1]
