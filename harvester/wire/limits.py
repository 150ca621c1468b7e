"""How long an exchange may take and how much it may bring. Declared; ``transport`` and ``body`` hold to it."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """Seconds. The first one to pass ends the exchange."""

    connect: float = 20.0  # name, TCP and TLS together (FAULTS N06, N11, N15)
    read: float = 60.0  # silence before the first byte or between two (FAULTS N05)
    total: float = 300.0  # from the first step to the last byte (FAULTS N07, N08)
    pace_bytes: int = 1024  # a body slower than this many bytes a second …
    pace_seconds: float = 30.0  # … over this long is given up, although it never falls silent (FAULTS N07)


@dataclass(frozen=True, kw_only=True)
class Caps:
    """Bytes, so that no server can fill the memory (FAULTS N09, H08, H09)."""

    header_line: int = 32 * 1024  # the status line, and each header field
    header_fields: int = 256
    raw: int = 128 * MIB  # body as sent
    decoded: int = 256 * MIB  # body after decompression


DEFAULT_TIMEOUTS = Timeouts()
DEFAULT_CAPS = Caps()
