"""What each fault does: a delay, a canned answer, a cut in the real one. Names are those of the fault catalogue.

Here are the words for it and the faults of statuses and connections; those of bodies, pages and data are beside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import msgspec

from harvester.sandbox.detours import Detours
from harvester.sandbox.server_clock import ServerClock
from harvester.sandbox.simulator import Answer, Ask, Simulator
from harvester.sandbox.volume import ByteLimit

SKEW = -600.0
"""Seconds the server's clock is wrong by in ``429:date_skew``."""

_BAD_REQUEST = b'{"error":{"code":401,"message":"The filter must be sent. This column is not allowed."}}'
_HTML = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body><h1>Back soon</h1></body></html>"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Where a fault happens."""

    ask: Ask
    simulator: Simulator
    rng: Random
    detours: Detours
    clock: ServerClock
    earlier: Sequence[tuple[Ask, Answer]]  # the latest answers with status 200, the newest last


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
    before: Callable[[Scene], Ask | Answer] | None = None  # another request to answer, or the answer itself
    after: Callable[[Scene, Answer], Answer] | None = None  # another answer
    wire: Callable[[int, Sequence[tuple[str, str]], bytes], bytes] | None = None  # the answer as it goes on the wire
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


def always(effect: Effect) -> Fault:
    """The same effect each time."""
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
        return always(plain)
    if name == "ra":
        return always(msgspec.structs.replace(plain, retry_after=value))
    if name == "date_skew":
        return always(msgspec.structs.replace(plain, retry_date=float(value or 5), skew=SKEW))
    if name == "mid":
        seconds = float(value or 5)
        return always(msgspec.structs.replace(plain, retry_after=f"{max(1, round(seconds))}", hold=seconds))
    raise ValueError(f"'{arguments}' is not known")


def cut_connection(arguments: str) -> Fault:
    """The connection ends in mid body: ``len`` or ``chunk``."""
    return Fault(effect=lambda _n, rng: Effect(cut=0.1 + 0.8 * rng.random(), chunked=arguments == "chunk"))


def _unauthorized(arguments: str) -> Fault:
    return always(Effect(status=401, body=_error(401) if arguments == "once" else _BAD_REQUEST))


def _error200(arguments: str) -> Fault:
    """``error`` is HTTP's own way, ``success`` and a code are Spark's (FAULTS S06)."""
    body = {
        "error": b'{"error":{"code":"","message":"An error has occurred"}}',
        "success": b'{"D":{"Success":false,"Message":"Something went wrong"}}',
    }.get(arguments)
    if body is None:
        if not (arguments.isascii() and arguments.isdigit()):
            raise ValueError(f"'{arguments}' is not known")
        body = b'{"D":{"Success":false,"Code":%d,"Message":"Fault injected by the sandbox"}}' % int(arguments)
    return always(Effect(status=200, body=body))


_PLACES = {
    "other": "https://elsewhere.example/data",
    "port": "http://127.0.0.1:9/data",
    "loop": "",  # itself
    "same": "",  # itself under another name
}


def _redirect(arguments: str) -> Fault:
    def answer(scene: Scene) -> Answer:
        ask = scene.ask
        place = f"{ask.origin}/{ask.raw_path}" + (f"?{ask.raw_query}" if ask.raw_query else "")
        if arguments == "same":
            place = scene.detours.link(place)
        return Answer(status=307, headers=(("Location", _PLACES[arguments] or place),))

    return always(Effect(before=answer))


def _status_of(status: int) -> Callable[[str], Fault]:
    def make(arguments: str) -> Fault:
        if arguments:
            raise ValueError("it takes nothing")
        return _status(str(status))

    return make


def _reset(arguments: str) -> Fault:
    size = int(arguments or 0)
    if size < 0:
        raise ValueError("bytes are not negative")
    return always(Effect(cut=float(size) if size else 0.0, reset=True))


def _latency(arguments: str) -> Fault:
    if arguments == "ramp":  # 50 ms to 10 s over a hundred requests
        return Fault(effect=lambda n, _rng: Effect(delay=0.05 + min(1.0, n / 100) * 9.95))
    seconds = float(arguments)
    if not 0 <= seconds < 86_400:
        raise ValueError("seconds are not negative")
    return always(Effect(delay=seconds))


def _quota(arguments: str) -> Fault:
    name, _, value = arguments.partition("=")
    amount, seconds, *rest = value.split(",")
    if name != "bytes" or rest not in ([], ["told"]):
        raise ValueError(f"'{arguments}' is not known")
    limit = ByteLimit(bytes=int(amount), seconds=float(seconds), told=bool(rest))
    if limit.bytes < 1 or not 0 < limit.seconds < 1e9:
        raise ValueError("bytes and seconds are above 0")
    return always(Effect(volume=limit))


def one_of(*allowed: str, make: Callable[[str], Fault]) -> Callable[[str], Fault]:
    def check(arguments: str) -> Fault:
        if arguments not in allowed:
            raise ValueError(f"'{arguments}' is not known")
        return make(arguments)

    return check


def _maintenance(arguments: str) -> Fault:
    return always(Effect(status=int(arguments), body=_HTML, content_type="text/html; charset=utf-8"))


PLAIN_KINDS: dict[str, Kind] = {
    "status": Kind(usage="status:<code>[,p[,burst]]", make=_status),
    "429": Kind(usage="429:none|ra=<value>|date_skew|mid[=seconds]", make=_throttle, times=1),
    "rst": Kind(usage="rst:<bytes>", make=_reset),
    "401": Kind(usage="401:once|badreq", make=one_of("once", "badreq", make=_unauthorized), times=1),
    "403": Kind(usage="403", make=_status_of(403)),
    "404": Kind(usage="404", make=_status_of(404)),
    "err200": Kind(usage="err200:error|success|<code>", make=_error200),
    "redirect": Kind(usage="redirect:same|other|port|loop", make=one_of(*_PLACES, make=_redirect)),
    "latency": Kind(usage="latency:<seconds>|ramp", make=_latency),
    "token": Kind(usage="token:ttl", make=one_of("ttl", make=lambda _: always(Effect(expire_tokens=True))), times=1),
    "quota": Kind(usage="quota:bytes=<bytes>,<seconds>[,told]", make=_quota),
    "maint": Kind(usage="maint:200|503", make=one_of("200", "503", make=_maintenance)),
    "empty": Kind(usage="empty:200|204", make=one_of("200", "204", make=lambda code: always(Effect(status=int(code))))),
}
