"""aiohttp's errors told as ours, without what they hold: some carry request headers in their repr (FAULTS E04)."""

from __future__ import annotations

import os
import ssl

import aiohttp
from aiohttp.http_exceptions import LineTooLong

from harvester.errors import (
    BodyIncomplete,
    ConfigError,
    ConnectionFailed,
    HarvesterError,
    OriginRefused,
    ProtocolError,
    TimedOut,
)
from harvester.wire.limits import Timeouts
from harvester.wire.redaction import printable

# TLS failures that another try may not meet; every other one is a matter of configuration (FAULTS N14, N15).
_PASSING_TLS = ("UNEXPECTED_EOF_WHILE_READING", "APPLICATION_DATA_AFTER_CLOSE_NOTIFY", None)


class ConnectionDied(Exception):
    """A connection that ended after the request was written. Of no class that aiohttp sends again for."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


async def send_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Middleware: keep aiohttp from sending an idempotent request again when its connection died (FAULTS N04)."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise  # never sent again by aiohttp, and nothing was sent
    except aiohttp.ServerDisconnectedError:
        died = ConnectionDied("the server closed the connection before it answered")
    except aiohttp.ClientOSError as exc:
        died = ConnectionDied(f"the connection broke ({_reason(exc)})")
    raise died  # outside the handlers, so that aiohttp's error is not chained


def in_full(what: str, error: HarvesterError) -> HarvesterError:
    """*error* with the request *what* in front: body and pace do not know which request they served."""
    if isinstance(error, BodyIncomplete | TimedOut) or type(error) is ProtocolError:
        return type(error)(f"{what}: {error}.")
    return error


def explain(what: str, exc: BaseException, timeouts: Timeouts) -> tuple[HarvesterError, BaseException | None]:
    """Our error for one of aiohttp's or the system's, and the harmless cause that may be chained to it.

    Args:
        what: method and redacted URL.
    """
    cause = exc.__cause__ if isinstance(exc.__cause__, OSError) else None
    if isinstance(exc, ConnectionDied):
        return ConnectionFailed(f"{what}: {exc.reason}."), None
    if isinstance(exc, aiohttp.ConnectionTimeoutError):
        return TimedOut(f"{what}: no connection within {timeouts.connect:g} s.", sent=False), None
    if isinstance(exc, TimeoutError):
        return TimedOut(f"{what}: nothing came for {timeouts.read:g} s."), None
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return _explain_tls(what, exc), cause
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return ConnectionFailed(f"{what}: the name of the host could not be looked up.", sent=False), cause
    if isinstance(exc, aiohttp.ClientConnectorError):
        return ConnectionFailed(f"{what}: no connection ({_reason(exc)}).", sent=False), cause
    if isinstance(exc, aiohttp.ClientPayloadError):
        return BodyIncomplete(f"{what}: the answer was cut off before its end."), None
    if isinstance(exc, aiohttp.ClientResponseError):
        if _oversized(exc):
            return ProtocolError(f"{what}: the head of the answer is larger than this client takes."), None
        return BodyIncomplete(f"{what}: the answer is not valid HTTP."), None
    if isinstance(exc, aiohttp.InvalidURL):
        return OriginRefused(f"{what}: this is not a URL that can be asked."), None
    return ConnectionFailed(f"{what}: the connection failed ({_reason(exc)})."), cause


def _explain_tls(what: str, exc: BaseException) -> HarvesterError:
    problem = exc.__cause__
    if isinstance(problem, ssl.SSLCertVerificationError):
        return ConfigError(
            f"{what}: the server's certificate is not trusted ({printable(problem.verify_message)}). "
            "Nothing was sent. Check the host name, this machine's clock and its root certificates."
        )
    reason = problem.reason if isinstance(problem, ssl.SSLError) else None
    if reason in _PASSING_TLS:
        return ConnectionFailed(f"{what}: the TLS handshake broke off.", sent=False)
    return ConfigError(
        f"{what}: no common TLS settings ({printable(reason or '')}). Nothing was sent. The server must offer "
        "TLS 1.2 or newer."
    )


def _oversized(exc: BaseException) -> bool:
    """Whether a head was refused for its size: only the innermost error tells (FAULTS N09)."""
    inner: BaseException | None = exc
    while inner is not None:
        if isinstance(inner, LineTooLong) or "Too many" in str(inner):
            return True
        inner = inner.__cause__
    return False


def _reason(exc: BaseException) -> str:
    number = getattr(exc, "errno", None)
    if isinstance(number, int):
        return os.strerror(number)
    return "connection reset" if isinstance(exc.__cause__ or exc, ConnectionResetError) else "no details known"
