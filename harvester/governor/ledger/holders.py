"""Who wrote an entry of the ledger, and whether that process still lives."""

from __future__ import annotations

import os
import socket

from msgspec import Struct


class Holder(Struct, frozen=True):
    """A process, as far as others on the same machine can tell."""

    host: str  # containers have their own, as they have their own process numbers
    process: int


def this_process() -> Holder:
    return Holder(socket.gethostname(), os.getpid())


def has_ended(holder: Holder) -> bool:
    """True only if *holder* is certainly gone; a process of another host or container might live."""
    if os.name != "posix" or holder.host != socket.gethostname():
        return False
    try:
        os.kill(holder.process, 0)  # sends nothing: asks whether the process exists
    except ProcessLookupError:
        return True
    except OSError:
        return False  # it exists and belongs to someone else
    return False
