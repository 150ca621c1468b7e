"""Where the spending of a credential is written down, so that restarts and other processes know of it."""

from harvester.governor.ledger.memory import MemoryLedger
from harvester.governor.ledger.news import Ended, Heard, Ledger, News, Opened, Paused, Released, Unknown
from harvester.governor.ledger.sqlite import SqliteLedger

__all__ = [
    "Ended",
    "Heard",
    "Ledger",
    "MemoryLedger",
    "News",
    "Opened",
    "Paused",
    "Released",
    "SqliteLedger",
    "Unknown",
]
