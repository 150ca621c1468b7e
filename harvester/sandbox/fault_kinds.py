"""What each fault does: a delay, a canned answer, a cut in the real one. Names are those of the fault catalogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import msgspec

from harvester.sandbox.volume import ByteLimit

SKEW = -600.0
"""Seconds the server's clock is wrong by in ``429:date_skew``."""

_HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one request. Unset fields change nothing."""

    delay: float = 0.0  # seconds until the answer, decided on arrival, is sent
    expire_tokens: bool = False  # every token ends before the request is looked at
    status: int = 0  # a canned answer instead of the provider's
    body: bytes = b""
    content_type: str = "application/json"
    retry_after: str = ""  # header text, as given
    retry_date: float | None = None  # Retry-After as a date, so many seconds from the answer's Date
    skew: float = 0.0  # seconds the answer's Date is off
    hold: float = 0.0  # seconds during which everybody on the credential gets the same answer
    cut: float | None = None  # the connection ends after this share of the body (below 1) or these bytes
    reset: bool = False  # with *cut*: RST instead of FIN
    chunked: bool = False  # with *cut*: chunked, without the last chunk
    volume: ByteLimit | None = None  # a quota of bytes, beside the provider's own quota


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault with its arguments read. *p* and *burst* are those of ``status:<code>,p,b``."""

    effect: Callable[[int, Random], Effect]  # of the n-th time it fires, from 1
    p: float = 1.0
    burst: int = 1


@dataclass(frozen=True, kw_only=True)
class Kind:
    """How a fault is written. *make* raises ``ValueError`` for arguments it cannot use."""

    usage: str
    make: Callable[[str], Fault]
    times: int | None = None  # how often it fires when the rule does not say


def _always(effect: Effect) -> Fault:
    return Fault(effect=lambda _n, _rng: effect)


def _error(status: int) -> bytes:
    return b'{"error":{"code":%d,"message":"Fault injected by the sandbox"}}' % status


def _status(arguments: str) -> Fault:
    code, *rest = arguments.split(",")
    if not (code.isdigit() and 100 < int(code) < 600) or len(rest) > 2:
        raise ValueError(f"'{arguments}' is not a status")
    p = float(rest[0]) if rest else 1.0
    burst = int(rest[1]) if len(rest) > 1 else 1
    if not 0 <= p <= 1 or burst < 1:
        raise ValueError("p lies from 0 to 1, the burst is at least 1")
    effect = Effect(status=int(code), body=b"" if code == "204" else _error(int(code)))
    return Fault(effect=lambda _n, _rng: effect, p=p, burst=burst)


def _throttle(arguments: str) -> Fault:
    name, _, value = arguments.partition("=")
    plain = Effect(status=429, body=_error(429))
    if name == "none" and not value:
        return _always(plain)
    if name == "ra":
        return _always(msgspec.structs.replace(plain, retry_after=value))
    if name == "date_skew":
        return _always(msgspec.structs.replace(plain, retry_date=float(value or 5), skew=SKEW))
    if name == "mid":
        seconds = float(value or 5)
        return _always(msgspec.structs.replace(plain, retry_after=f"{max(1, round(seconds))}", hold=seconds))
    raise ValueError(f"'{arguments}' is not known")


def _cut(arguments: str) -> Fault:
    if arguments not in ("len", "chunk"):
        raise ValueError(f"'{arguments}' is not known")
    return Fault(effect=lambda _n, rng: Effect(cut=0.1 + 0.8 * rng.random(), chunked=arguments == "chunk"))


def _reset(arguments: str) -> Fault:
    size = int(arguments or 0)
    if size < 0:
        raise ValueError("bytes are not negative")
    return _always(Effect(cut=float(size) if size else 0.0, reset=True))


def _latency(arguments: str) -> Fault:
    if arguments == "ramp":  # 50 ms to 10 s over a hundred requests
        return Fault(effect=lambda n, _rng: Effect(delay=0.05 + min(1.0, n / 100) * 9.95))
    seconds = float(arguments)
    if not 0 <= seconds < 86_400:
        raise ValueError("seconds are not negative")
    return _always(Effect(delay=seconds))


def _quota(arguments: str) -> Fault:
    name, _, value = arguments.partition("=")
    amount, seconds, *rest = value.split(",")
    if name != "bytes" or rest not in ([], ["told"]):
        raise ValueError(f"'{arguments}' is not known")
    limit = ByteLimit(bytes=int(amount), seconds=float(seconds), told=bool(rest))
    if limit.bytes < 1 or not 0 < limit.seconds < 1e9:
        raise ValueError("bytes and seconds are above 0")
    return _always(Effect(volume=limit))


def _only(*allowed: str, make: Callable[[str], Fault]) -> Callable[[str], Fault]:
    def check(arguments: str) -> Fault:
        if arguments not in allowed:
            raise ValueError(f"'{arguments}' is not known")
        return make(arguments)

    return check


def _maintenance(arguments: str) -> Fault:
    return _always(Effect(status=int(arguments), body=_HTML, content_type="text/html; charset=utf-8"))


KINDS: dict[str, Kind] = {
    "status": Kind(usage="status:<code>[,p[,burst]]", make=_status),
    "429": Kind(usage="429:none|ra=<value>|date_skew|mid[=seconds]", make=_throttle, times=1),
    "cut": Kind(usage="cut:len|chunk", make=_cut),
    "rst": Kind(usage="rst:<bytes>", make=_reset),
    "401": Kind(usage="401:once", make=_only("once", make=lambda _: _status("401")), times=1),
    "latency": Kind(usage="latency:<seconds>|ramp", make=_latency),
    "token": Kind(usage="token:ttl", make=_only("ttl", make=lambda _: _always(Effect(expire_tokens=True))), times=1),
    "quota": Kind(usage="quota:bytes=<bytes>,<seconds>[,told]", make=_quota),
    "maint": Kind(usage="maint:200|503", make=_only("200", "503", make=_maintenance)),
    "empty": Kind(usage="empty:200|204", make=_only("200", "204", make=lambda code: _always(Effect(status=int(code))))),
}
