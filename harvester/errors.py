"""Every exception of harvester: one tree, grouped by what the caller should do.

* ``MendError``: a person must change something (configuration, arguments, credentials).
* ``WaitError``: nothing is wrong; the same command finishes the work later.
* ``RepeatError``: asking again may help. Raised and handled inside ``wire``; it leaves that room only
  when the attempts or the retry budget are spent.
* ``GiveUpError``: repeating cannot help this resource, run or directory.

``exit_status`` is the status of the command line (that of sysexits.h where it has one for the case).
Messages never hold headers, bodies or credentials: URLs are redacted before they get here.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar


class HarvesterError(Exception):
    """Root of the tree. The message is one paragraph for the user: what happened, what is safe, what to do."""

    exit_status: ClassVar[int] = 1


# ------------------------------------------------------------------ mend


class MendError(HarvesterError):
    """A person must change something before the same call can work."""


class ArgumentError(MendError):
    """The command line or a public call was given arguments that make no sense together."""

    exit_status = 2


class ConfigError(MendError):
    """The configuration is wrong. *path* names the key, e.g. ``sources.centris.budget.per_minute``."""

    exit_status = 78

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class CredentialsRefused(MendError):
    """The provider does not accept the credential; asking again could lock it out."""

    exit_status = 77
    sent: bool = True  # False: this request never left, because another one had been refused


# ------------------------------------------------------------------ wait


class WaitError(HarvesterError):
    """The work is saved and resumable; run the same command again at or after *resets_at*."""

    exit_status = 75

    def __init__(self, message: str, *, resets_at: datetime | None = None) -> None:
        super().__init__(message)
        self.resets_at = resets_at  # aware UTC; None: not known


class QuotaExhausted(WaitError):
    """The next admission lies beyond what the caller is willing to wait."""


class DeadlineReached(WaitError):
    """The deadline of the run has come; finished pages are saved."""


# ------------------------------------------------------------------ repeat


class RepeatError(HarvesterError):
    """Asking again may help. *sent*: bytes may have reached the server, so the request counts against quota."""

    sent: bool = True


class ConnectionFailed(RepeatError):
    """No connection, or it died before a whole answer was read (FAULTS N01 to N06, N12)."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class TimedOut(RepeatError):
    """A connect, read or total deadline passed, or the body came too slowly (FAULTS N05 to N08)."""

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class BodyIncomplete(RepeatError):
    """The body is cut, corrupt or not what its headers say; no byte of it may be used (FAULTS H01 to H07)."""


class ServerFault(RepeatError):
    """The server says it failed (5xx, maintenance page, body without the provider's envelope)."""

    def __init__(self, message: str, *, status: int = 0, wait: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.wait = wait  # seconds the server asked for; 0: it did not


class Throttled(RepeatError):
    """The server refused for quota reasons; *wait* is in seconds, 0 when it named none."""

    def __init__(self, message: str, *, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class TokenRefused(RepeatError):
    """The token marked *mark* is no good. *sent*: the server said so; else it lapsed before anything was sent.

    Raised below the governor and answered above it, so that the renewal and the repeated request are admitted
    like any other.
    """

    def __init__(self, message: str, *, mark: str, sent: bool = True) -> None:
        super().__init__(message)
        self.mark = mark
        self.sent = sent


# ------------------------------------------------------------------ give up


class GiveUpError(HarvesterError):
    """Repeating cannot help."""


class ProtocolError(GiveUpError):
    """The provider broke its protocol: undecodable body, endless headers, loop of links."""

    exit_status = 65


class WentRound(ProtocolError):
    """The server leads a walk back to where it was (FAULTS P02, P03); the next attempt begins at the start."""


class OriginRefused(ProtocolError):
    """A URL leaves the source's scheme, host, port or base path; no socket was opened (FAULTS E01)."""


class ResourceRefused(GiveUpError):
    """This resource cannot be had (no entitlement, wrong path, bad query); its siblings go on."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class PageTooLarge(GiveUpError):
    """The server will not serve a page of this size; *page_size* is what it allows, None: halve it."""

    def __init__(self, message: str, *, page_size: int | None = None) -> None:
        super().__init__(message)
        self.page_size = page_size


class CursorExpired(GiveUpError):
    """The server no longer knows this position; the walk starts again from what is durable."""


class OrderViolated(GiveUpError):
    """Pages do not follow the order the walk relies on, so completeness cannot be claimed.

    Where pages before this one had their end in the wrong order, the position says nothing: the next attempt begins
    at the start.
    """


class FilterIgnored(OrderViolated):
    """The server answers a filtered question with everything: what changed cannot be asked for (FAULTS P15).

    The message is a reason for a manifest; it names no resource.
    """


class SeamBroken(GiveUpError):
    """Offset pages that should overlap do not, and reading across did not help; another strategy may read the set."""


class StorageError(GiveUpError):
    """Reading or writing the output failed; what was committed before stays valid."""

    exit_status = 74


class CannotCreate(StorageError):
    """The output directory or file cannot be created (permissions, read-only or full disk)."""

    exit_status = 73


class Locked(GiveUpError):
    """Another process is writing to the same place."""

    exit_status = 79
