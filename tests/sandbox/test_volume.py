"""Quotas of bytes as the sandbox keeps them."""

from __future__ import annotations

from harvester.sandbox.volume import ByteLimit, Volume


def test_no_more_is_served_in_any_period_and_waiting_as_told_is_enough() -> None:
    """FAULTS Q04."""
    volume = Volume(ByteLimit(bytes=100, seconds=10))
    for at in (0.0, 3.0):
        assert volume.wait(at, 50) == 0.0
        volume.add(at, 50)
    assert volume.wait(4.0, 1) == 6.0
    assert volume.wait(4.0, 51) == 9.0
    assert volume.wait(10.0, 50) == 0.0


def test_a_body_larger_than_the_quota_is_served_when_nothing_else_counts() -> None:
    volume = Volume(ByteLimit(bytes=100, seconds=10))
    assert volume.wait(0.0, 500) == 0.0
    volume.add(0.0, 500)
    assert volume.wait(1.0, 1) == 9.0
    assert volume.wait(10.0, 500) == 0.0


def test_it_tells_what_is_left_only_where_it_is_to() -> None:
    volume = Volume(ByteLimit(bytes=100, seconds=10, told=True))
    volume.add(2.0, 30)
    assert dict(volume.fields(4.5)) == {
        "RateLimit-Policy": '"volume";q=100;w=10;qu="content-bytes"',
        "RateLimit": '"volume";r=70;t=8',
    }
    assert Volume(ByteLimit(bytes=100, seconds=10)).fields(0.0) == ()
