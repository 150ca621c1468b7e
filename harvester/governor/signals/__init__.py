"""What an answer says about the allowance, one function a dialect. Pure; none of them ever raises.

Every reader has the shape ``(response, now) -> RateSignal``; *now* is local aware UTC at receipt and only used when
the answer has no ``Date`` of its own, for servers' clocks are off by minutes (FAULTS S05).
"""

from harvester.governor.signals.bridge import bridge_signal
from harvester.governor.signals.centris import centris_signal
from harvester.governor.signals.dialects import DIALECTS, any_signal, signals_in
from harvester.governor.signals.hints import read_retry_after
from harvester.governor.signals.idx_broker import idx_signal
from harvester.governor.signals.ims import ims_signal
from harvester.governor.signals.spark import spark_signal
from harvester.governor.signals.standard import standard_signal
from harvester.governor.signals.trestle import trestle_signal

__all__ = [
    "DIALECTS",
    "any_signal",
    "bridge_signal",
    "centris_signal",
    "idx_signal",
    "ims_signal",
    "read_retry_after",
    "signals_in",
    "spark_signal",
    "standard_signal",
    "trestle_signal",
]
