"""From one request to one reply, without sockets: faults, simulator, log. The server and in-memory tests share it."""

from __future__ import annotations

import math
import zlib
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from urllib.parse import parse_qsl, unquote

import msgspec

from harvester.sandbox.client_config import config_toml
from harvester.sandbox.detours import Detours
from harvester.sandbox.fault_kinds import Effect, Scene
from harvester.sandbox.faults import Asked, Faults
from harvester.sandbox.holders import Holders
from harvester.sandbox.quota import Pauses
from harvester.sandbox.registry import load_simulators
from harvester.sandbox.request_log import Entry, RequestLog, mark_of
from harvester.sandbox.server_clock import ServerClock
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import Answer, Ask, Simulator
from harvester.sandbox.volume import ByteLimit, Volume

_REMEMBERED = 8  # answers that may come again as those of other requests
_JSON = (("Content-Type", "application/json; charset=utf-8"),)


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """How the connection is broken off while the body is sent."""

    bytes: int  # of the body that still go out
    reset: bool  # RST instead of FIN
    chunked: bool  # chunked without the last chunk, instead of a Content-Length that is not met


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A finished answer: all headers but ``Content-Length``, the body as it goes on the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    cut: Cut | None = None
    raw: bytes | None = None  # the whole answer as it goes on the wire, before the connection is closed


class Sandbox:
    """The simulators with their faults and the request log. ``url`` and ``identity_url`` are set once it listens."""

    def __init__(self, settings: Settings) -> None:
        self.clock = ServerClock(settings.clock)
        self.settings = settings = replace(settings, clock=self.clock)
        self.detours = Detours()
        self.simulators = load_simulators(settings)
        self.faults = Faults(seed=settings.seed)
        self.log = RequestLog()
        self.url = ""  # of the main port, without a slash at the end
        self.identity_url = ""  # of the port where identity providers live
        self._started = settings.clock.monotonic()
        self._pauses = Pauses()
        self._held: dict[str, tuple[float, Effect]] = {}
        self._volumes: dict[tuple[str, ByteLimit], Volume] = {}
        self._mutated = 0
        self._earlier: dict[str, deque[tuple[Ask, Answer]]] = {}

    def simulator(self, name: str) -> Simulator:
        """Raises ``KeyError`` for a provider that is not simulated."""
        return self.simulators[name]

    def config_toml(self, url: str = "", identity_url: str = "") -> str:
        """A client configuration for this sandbox under the URLs it listens on, or under the ones given."""
        return config_toml(self.simulators, url or self.url, identity_url or self.identity_url)

    @property
    def elapsed(self) -> float:
        """Seconds since the sandbox was made, on its clock."""
        return self.settings.clock.monotonic() - self._started

    def mutate(self, count: int, name: str = "") -> None:
        """Change *count* rows of one provider, or in turn of each."""
        names = [name] if name else list(self.simulators)
        shares = dict.fromkeys(names, 0)
        for _ in range(count):
            shares[names[self._mutated % len(names)]] += 1
            self._mutated += 1
        for each, share in shares.items():
            if share:
                self.simulators[each].mutate(share)

    async def exchange(
        self,
        *,
        method: str,
        origin: str,
        target: str,
        headers: dict[str, str],
        body: bytes = b"",
        identity: bool = False,
    ) -> Reply:
        """Answer one request.

        Args:
            origin: scheme://host:port as the client wrote it.
            target: path and query as sent, ``/ims/v1/Property?$top=2``.
            headers: lower-case names.
            identity: it came to the identity provider's port.
        """
        raw_path, _, raw_query = target.partition("?")
        name, _, raw_below = raw_path.lstrip("/").partition("/")
        ask = Ask(
            method=method,
            path=unquote(raw_below),
            raw_path=raw_below,
            query=tuple(parse_qsl(raw_query, keep_blank_values=True)),
            raw_query=raw_query,
            headers=headers,
            body=body,
            origin=f"{origin}/{name}",
            now=self.settings.clock.now(),
            elapsed=self.elapsed,
        )
        entry = Entry(
            number=self.log.next_number(),
            at=ask.elapsed,
            time=ask.now.isoformat(),
            provider=name if name in self.simulators else "",
            method=method,
            path=raw_below + (f"?{raw_query}" if raw_query else ""),
            identity=identity,
            mark=mark_of(headers),
        )
        self.log.add(entry)
        simulator = self.simulators.get(name)
        if simulator is None:
            known = ", ".join(self.simulators)
            return self._finish(
                entry, ask, Answer(status=404, headers=_JSON, body=_error(f"No such provider; {known}"))
            )
        return await self._answer(simulator, ask, entry)

    async def _answer(self, simulator: Simulator, ask: Ask, entry: Entry) -> Reply:
        entry.credential = simulator.holder(ask) if isinstance(simulator, Holders) else None
        asked = Asked(
            provider=simulator.name,
            path=ask.path,
            target=entry.path,
            token=ask.method == "POST",
            credential=entry.credential,
        )
        owner = f"{simulator.name}:{entry.mark}"
        entry.paused = self._pauses.inside(owner, ask.elapsed)
        faults = self.faults.effects(asked)
        entry.fault = " ".join(name for name, _ in faults)
        effects = [effect for _, effect in faults]
        if any(effect.expire_tokens for effect in effects):
            simulator.expire_tokens()
        canned = self._holding(owner, ask, asked) or next((effect for effect in effects if effect.status), None)
        if canned is not None:
            answer = self._canned(canned, ask, owner)
        elif entry.identity:
            tell = getattr(simulator, "identity", None)
            answer = Answer(status=404, headers=_JSON, body=_error("Not here")) if tell is None else tell(ask)
        else:
            answer = self._data_answer(simulator, ask, effects)
        self.faults.answered(asked, answer.status)
        # Decided on arrival, delivered late: quotas count in the order of the log, whatever is slow.
        if delay := sum(effect.delay for effect in effects):
            await self.settings.clock.sleep(delay)
        reply = self._finish(entry, ask, answer, next((each for each in effects if each.cut is not None), None))
        if wire := next((each.wire for each in effects if each.wire is not None), None):
            date = ("Date", dict(reply.headers)["Date"])
            others = [each for each in answer.headers if each[0].lower() != "date"]
            raw = wire(answer.status, (*others, date), answer.body)
            reply = msgspec.structs.replace(reply, raw=raw, cut=None)
        limits = [effect.volume for effect in effects if effect.volume is not None]
        return self._within(limits, reply, entry, ask, owner) if limits and not entry.token else reply

    def _data_answer(self, simulator: Simulator, ask: Ask, effects: Sequence[Effect]) -> Answer:
        """What the provider says, with what faults make of the request before and of the answer behind it."""
        earlier = self._earlier.setdefault(simulator.name, deque(maxlen=_REMEMBERED))
        detours, rng = self.detours, self.faults.rng
        found = detours.lead(ask)
        for effect in effects:
            if effect.before is not None and isinstance(found, Ask):
                scene = Scene(
                    ask=found, simulator=simulator, rng=rng, detours=detours, clock=self.clock, earlier=tuple(earlier)
                )
                found = effect.before(scene)
        answer = simulator.answer(found) if isinstance(found, Ask) else found
        if isinstance(found, Ask) and answer.status == 200:
            earlier.append((found, answer))
        for effect in effects:
            if effect.after is not None:
                place = found if isinstance(found, Ask) else ask
                scene = Scene(
                    ask=place, simulator=simulator, rng=rng, detours=detours, clock=self.clock, earlier=tuple(earlier)
                )
                answer = effect.after(scene, answer)
        return answer

    def _within(self, limits: list[ByteLimit], reply: Reply, entry: Entry, ask: Ask, owner: str) -> Reply:
        """*reply*, or a refusal where it would be more than *owner* may have. What is compressed counts as that."""
        now = self.elapsed  # counted as it is sent, not when it was asked for
        volumes = [self._volumes.setdefault((owner, limit), Volume(limit)) for limit in limits]
        waits = [volume.wait(now, len(reply.body)) for volume in volumes]
        wait = math.ceil(max(waits))
        if wait and reply.status < 300:
            over = limits[waits.index(max(waits))].name
            self._pauses.announce(owner, now, now + wait)
            headers = (*_JSON, ("Retry-After", str(wait)))
            reply = self._finish(
                entry, ask, Answer(status=429, headers=headers, body=_error("Too many bytes"), refused=over)
            )
        elif reply.status < 300:
            for volume in volumes:
                volume.add(now, len(reply.body))
        fields = [field for volume in volumes for field in volume.fields(now)]
        return msgspec.structs.replace(reply, headers=(*reply.headers, *fields))

    def _holding(self, owner: str, ask: Ask, asked: Asked) -> Effect | None:
        """The refusal that is still in force for *owner* (``429:mid``), with the wait that is left."""
        until, effect = self._held.get(owner, (0.0, None))
        if effect is None or ask.elapsed >= until or asked.token:
            return None
        left = until - ask.elapsed
        return msgspec.structs.replace(effect, retry_after=str(math.ceil(left)), hold=0.0)

    def _canned(self, effect: Effect, ask: Ask, owner: str) -> Answer:
        date = ask.now + timedelta(seconds=effect.skew)
        headers = [("Content-Type", effect.content_type), ("Date", format_datetime(date, usegmt=True))]
        retry_after = effect.retry_after
        if effect.retry_date is not None:
            retry_after = format_datetime(date + timedelta(seconds=effect.retry_date), usegmt=True)
        if retry_after:
            headers.append(("Retry-After", retry_after))
        if wait := _wait(retry_after, date.replace(microsecond=0).timestamp()):
            self._pauses.announce(owner, ask.elapsed, ask.elapsed + wait)
        if effect.hold:
            self._held[owner] = (ask.elapsed + effect.hold, effect)
        return Answer(status=effect.status, headers=tuple(headers), body=effect.body)

    def _finish(self, entry: Entry, ask: Ask, answer: Answer, cut: Effect | None = None) -> Reply:
        entry.status = answer.status
        entry.token = answer.token
        entry.over = answer.refused
        entry.paused = entry.paused or answer.paused
        entry.bytes = len(answer.body)
        headers, body = list(answer.headers), answer.body
        names = {name.lower() for name, _ in headers}
        if "date" not in names:
            headers.append(("Date", format_datetime(ask.now, usegmt=True)))
        if self.settings.gzip and len(body) > 1024 and "gzip" in ask.headers.get("accept-encoding", ""):
            packer = zlib.compressobj(level=1, wbits=31)
            body = packer.compress(body) + packer.flush()
            headers += [("Content-Encoding", "gzip"), ("Vary", "Accept-Encoding")]
        if cut is None or cut.cut is None:
            return Reply(status=answer.status, headers=tuple(headers), body=body)
        size = int(cut.cut) if cut.reset else int(len(body) * cut.cut)
        stop = Cut(bytes=min(size, len(body)), reset=cut.reset, chunked=cut.chunked)
        return Reply(status=answer.status, headers=tuple(headers), body=body, cut=stop)


def _error(message: str) -> bytes:
    return msgspec.json.encode({"error": message})


def _wait(retry_after: str, date: float) -> float:
    """Seconds a ``Retry-After`` asks for, 0 when it is none a client could follow."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - date)
    except ValueError:
        return 0.0
