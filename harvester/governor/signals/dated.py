"""The end of a short window on the server's own clock, by which its windows can be told apart."""

from __future__ import annotations

from datetime import datetime

from msgspec import structs

from harvester.contracts import SignalReader
from harvester.governor.edges import LONGEST
from harvester.governor.signals.hints import served_at
from harvester.model import RateSignal, Response, WindowSignal


def dated(read: SignalReader) -> SignalReader:
    """*read*, and ``resets_at`` with it.

    Where the server names an instant it is that instant. Where it tells seconds from now, it is off by up to one from
    answer to answer, which shows when they are compared.
    """

    def read_dated(response: Response, now: datetime) -> RateSignal:
        signal = read(response, now)
        if not any(map(_is_short, signal.windows)):
            return signal
        served = served_at(response, now).timestamp()
        windows = [
            structs.replace(window, resets_at=served + (window.resets_in or 0.0)) if _is_short(window) else window
            for window in signal.windows
        ]
        return structs.replace(signal, windows=tuple(windows))

    return read_dated


def _is_short(window: WindowSignal) -> bool:
    """Or may be: many dialects do not tell the length."""
    return window.resets_in is not None and (window.seconds is None or window.seconds <= LONGEST)
