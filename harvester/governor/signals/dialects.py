"""The table of dialects. A provider names those it speaks; for one that nobody has described all are tried."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from harvester.contracts import SignalReader
from harvester.governor.signals.bridge import bridge_signal, speaks_bridge
from harvester.governor.signals.centris import centris_signal
from harvester.governor.signals.hints import TOO_MANY, longest
from harvester.governor.signals.idx_broker import counts_the_hour, idx_signal
from harvester.governor.signals.ims import ims_signal, names_a_limit
from harvester.governor.signals.spark import spark_signal, throttles
from harvester.governor.signals.standard import standard_signal
from harvester.governor.signals.trestle import speaks_trestle, trestle_signal
from harvester.model import RateSignal, Response, WindowSignal


@dataclass(frozen=True)
class Dialect:
    """One way in which servers tell their quota."""

    read: SignalReader
    spoken: Callable[[Response], bool]  # by an answer of an unknown server; its own defaults are not for others


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "standard": Dialect(standard_signal, lambda response: True),
        "trestle": Dialect(trestle_signal, speaks_trestle),
        "bridge": Dialect(bridge_signal, speaks_bridge),
        "ims": Dialect(ims_signal, names_a_limit),
        "centris": Dialect(centris_signal, lambda response: response.status == TOO_MANY),
        "idx_broker": Dialect(idx_signal, counts_the_hour),
        "spark": Dialect(spark_signal, throttles),
    }
)


def signals_in(*names: str) -> SignalReader:
    """The reader of a provider that speaks these dialects, named as in ``DIALECTS``. Raises KeyError for another."""
    readers = [DIALECTS[name].read for name in names]
    if len(readers) == 1:
        return readers[0]
    return lambda response, now: _joined(read(response, now) for read in readers)


def any_signal(response: Response, now: datetime) -> RateSignal:
    """For a provider that nobody has described: whatever any of the dialects can read."""
    return _joined(dialect.read(response, now) for dialect in DIALECTS.values() if dialect.spoken(response))


def _joined(signals: Iterable[RateSignal]) -> RateSignal:
    """What several readings of one answer come to: each window once, the longest wait, the lowest limit."""
    read = tuple(signals)
    windows: list[WindowSignal] = []
    for signal in read:
        windows += [window for window in signal.windows if window not in windows]
    return RateSignal(
        refused=any(signal.refused for signal in read),
        retry_after=longest(*(signal.retry_after for signal in read)),
        windows=tuple(windows),
        open_at_most=min((signal.open_at_most for signal in read if signal.open_at_most is not None), default=None),
        evidence=max((signal.evidence for signal in read), key=len, default=""),
    )
