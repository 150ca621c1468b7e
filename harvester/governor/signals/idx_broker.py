"""IDX Broker: a count of what was used in the hour, and 412 for a refusal."""

from __future__ import annotations

from datetime import datetime

from harvester.governor.rate_fields import read_count
from harvester.governor.refusals import HOURLY
from harvester.governor.signals.hints import SERVICE_UNAVAILABLE, TOO_MANY, evidence_of, retry_after
from harvester.model import RateSignal, Response, WindowSignal

_PRECONDITION_FAILED = 412


def idx_signal(response: Response, now: datetime) -> RateSignal:
    """IDX Broker counts up what was *used* in the hour, and refuses with 412, which names no wait.

    Source: IDX Broker contract, sections 1 to 3.
    """
    lines = response.headers.all("hourly-access-key-usage")
    used = read_count(lines[-1]) if lines else None
    refused = response.status == _PRECONDITION_FAILED
    windows = (WindowSignal(name=HOURLY, used=used),) if refused or used is not None else ()
    # 429 is none of its documented answers: something in front of it says so, and says for how long.
    waits = refused or response.status in (TOO_MANY, SERVICE_UNAVAILABLE)
    wait = retry_after(response, now) if waits else None
    text = f"{used} used this hour" if refused and used is not None else ""
    return RateSignal(
        refused=refused,
        retry_after=wait,
        windows=windows,
        evidence=evidence_of(response, wait, text) if refused else "",
    )


def counts_the_hour(response: Response) -> bool:
    """Whether the field that only IDX Broker sends is there."""
    return "hourly-access-key-usage" in response.headers
