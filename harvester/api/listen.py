"""Receive what providers post, and keep the replica current with it: as a process of its own, or beside others."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack
from datetime import datetime
from functools import partial
from pathlib import PurePath

import anyio
import msgspec
from msgspec import Struct, structs

from harvester.api.assembly import Chosen, assemble, choose
from harvester.api.discovery import discover
from harvester.api.doors import Door
from harvester.api.locks import lock_inbox
from harvester.api.ports import Ports
from harvester.api.probe import settle
from harvester.api.turns import Turns
from harvester.config.check import check_address
from harvester.config.schema import Config
from harvester.config.secrets import SecretStore
from harvester.contracts import Sink
from harvester.engine.push_desk import Pace
from harvester.engine.pushing import Pusher
from harvester.engine.site import Site
from harvester.engine.source import Source
from harvester.engine.stopping import unless_stopped
from harvester.errors import ArgumentError, CredentialsRefused, HarvesterError, StorageError, WaitError
from harvester.events import Event, Listening, RunFinished, RunStarted, Waiting, Warned
from harvester.report.pushes import PushHealth
from harvester.store import layout
from harvester.store.deliveries import Deliveries
from harvester.store.inbox import Inbox
from harvester.store.prepare import prepare_output
from harvester.store.shards import Compression
from harvester.wire.receiver import Caps, Post, Reply, receiving
from harvester.wire.status_server import Told

ADDRESS = "127.0.0.1:8081"
_LAST_TURN = 3.0  # seconds that what has come waits for its turn to be written, once it is to end
_WARN_EVERY = 10.0  # seconds between two warnings of posts that are refused, for each source


class ListenReport(Struct, frozen=True, kw_only=True):
    """How things stood when the process ended."""

    out: str
    seconds: float
    exit_status: int
    sources: tuple[PushHealth, ...]


class Listener:
    """The push of some sources that are open; whoever made it runs other things beside it.

    Args:
        chosen, sources: as ``choose`` and ``settle`` give them; those that post nothing are left out.
        site: its ``stop`` ends it.
        turns: who may write.
    """

    def __init__(
        self,
        config: Config,
        chosen: Sequence[Chosen],
        sources: Sequence[Source],
        site: Site,
        turns: Turns,
        ports: Ports,
        *,
        pace: Pace | None = None,
        caps: Caps | None = None,
    ) -> None:
        self._site, self._turns, self._ports = site, turns, ports
        self._pace = pace or Pace(seconds=config.push_seconds, confirm=config.push_confirm)
        self._caps = caps or Caps()
        self._secrets = SecretStore(config, environment=ports.environment, fs=ports.fs)
        self._pairs = [
            (each, source) for each, source in zip(chosen, sources, strict=True) if each.setup.provider.push is not None
        ]
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="harvester-inbox")
        self._inboxes: dict[str, Inbox] = {}
        self._doors: dict[str, Door] = {}
        self._pushers: dict[str, Pusher] = {}
        self._over = anyio.Event()  # it is to end though the site does not stop
        self._paused: dict[str, datetime] = {}
        self._warned: dict[str, float] = {}  # monotonic, by source
        # Secrets are read before anything is opened.
        self._keys = {source.name: self._secrets.webhook_secrets(source.name) for _, source in self._pairs}

    @property
    def names(self) -> tuple[str, ...]:
        """Sources that it listens for."""
        return tuple(source.name for _, source in self._pairs)

    def watch(self, event: Event) -> None:
        """Hear what happens to the sources, for ``health``."""
        if isinstance(event, Waiting):
            self._paused[event.source] = event.until

    def waiting(self, source: str) -> int:
        """Records of *source* that were announced and are in no run yet."""
        return len(self._inboxes[source]) if source in self._inboxes else 0

    async def run(self, address: str | None, *, path: str = "/", drain: bool = False, ends: bool = False) -> None:
        """Work until the site stops. Of a source whose credential is refused nothing is asked, but all is still kept.

        Args:
            address: host and port to listen at; None: only what is in the inboxes is worked off.
            path: of the URL that is posted to. Behind it stands the name of the source; with one source it need not.
            drain: end when nothing more can be done.
            ends: end also when nothing is asked of any source any more.
        Raises:
            ConfigError: a secret is none, or the address cannot be listened at.
            Locked: another process listens for one of the sources.
            StorageError: what came cannot be kept or written.
        """
        async with AsyncExitStack() as opened:
            locks = opened.enter_context(ExitStack())
            opened.callback(self._executor.shutdown)
            for each, source in self._pairs:
                locks.callback(lock_inbox(self._ports.fs, self._site.out, source.name).release)
                await self._open(each, source, opened)
            # Raised outside the task group, which would wrap it.
            failures: list[HarvesterError] = []
            async with anyio.create_task_group() as tasks:

                async def work(one: Callable[[], Awaitable[None]]) -> None:
                    try:
                        await one()
                    except HarvesterError as error:
                        failures.append(error)
                        tasks.cancel_scope.cancel()

                if address is not None:
                    tasks.start_soon(work, partial(self._listen, address, path))
                async with anyio.create_task_group() as pushes:
                    for pusher in self._pushers.values():
                        pushes.start_soon(work, partial(pusher.run, drain=drain))
                if ends and all(self.errors):
                    self._over.set()
            if failures:
                raise failures[0]

    async def _open(self, each: Chosen, source: Source, opened: AsyncExitStack) -> None:
        site, push = self._site, each.setup.provider.push
        assert push is not None  # noqa: S101 - the others were left out
        directory = layout.inbox_directory(site.out, source.name)
        guard = push.guard(self._keys[source.name], each.setup.section.webhook_header)
        inbox = Inbox(site.fs, directory, self._executor)
        opened.push_async_callback(inbox.close)
        await inbox.open()
        deliveries = Deliveries(site.fs, directory / "posts", self._executor, push.repeatable)
        opened.push_async_callback(deliveries.close)
        await deliveries.open(site.clock.now().timestamp())

        def turn(names: Sequence[str], *, last: bool) -> AbstractAsyncContextManager[bool]:
            return self._turns.of(source.name, names, last=last)

        def refused(message: str) -> None:
            self._warn(source.name, message)

        pusher = Pusher(source, site, inbox, turn, self._pace)
        self._pushers[source.name], self._inboxes[source.name] = pusher, inbox
        self._doors[source.name] = Door(
            push,
            guard,
            each.setup.origin,
            inbox,
            deliveries,
            site.clock,
            wanted=lambda name: name in pusher.resources,
            heard=pusher.announce,
            refused=refused,
        )

    async def _listen(self, address: str, path: str) -> None:
        site = self._site
        host, port = check_address(address, "listen")
        prefix = "/" + path.strip("/")
        places = {f"{prefix.rstrip('/')}/{name}": door for name, door in self._doors.items()}
        if len(self._doors) == 1:
            places |= dict.fromkeys((prefix, f"{prefix.rstrip('/')}/"), next(iter(self._doors.values())))

        async def take(post: Post) -> Reply:
            door = places.get(post.path)
            try:
                return await door.take(post) if door is not None else Reply(status=404, message="nobody listens here")
            finally:
                if self._broken is not None:
                    self._over.set()

        async with receiving(host, port, take, {"/health": self._told}, self._caps, path="listen") as (_, bound):
            shown = f"[{host}]" if ":" in host else host
            for place in dict.fromkeys(places):
                url = f"http://{shown}:{bound}{place}"
                site.sink(Listening(at=site.clock.now(), purpose="push", url=url))
            for name in self._doors:
                if not self._keys[name] and not _is_this_machine(host):
                    self._warn(name, "anybody may post: set webhook_secret, or choose a --path that nobody guesses")
            await unless_stopped(site.stop, self._over.wait)
        if self._broken is not None:
            raise StorageError(f"what is posted cannot be kept: {self._broken}") from self._broken

    @property
    def _broken(self) -> Exception | None:
        """Why posts of a source can only be refused until its inbox is opened anew (FAULTS F03)."""
        return next((inbox.broken for inbox in self._inboxes.values() if inbox.broken is not None), None)

    # -------------------------------------------------------------- what is told

    def health(self) -> tuple[PushHealth, ...]:
        """How things stand; it may be asked at any time."""
        return tuple(self._health(name) for name in self._doors)

    def _health(self, name: str) -> PushHealth:
        door, pusher, inbox = self._doors[name], self._pushers[name], self._inboxes[name]
        until = self._paused.get(name)
        return PushHealth(
            source=name,
            waiting=len(inbox),
            posts=door.taken,
            known=door.known,
            refused=door.refused,
            overflowed=door.overflowed,
            ignored=door.ignored,
            records=pusher.records,
            gone=pusher.gone,
            spared=pusher.spared,
            dropped=pusher.dropped,
            last_answer=pusher.looked_at,
            paused_until=until if until is not None and until > self._site.clock.now() else None,
            stalled=pusher.stalled,
            unasked=pusher.unasked,
            error=str(pusher.refused or ""),
        )

    def _told(self) -> Told:
        health = self.health()
        status = 503 if any(each.error for each in health) else 200
        return Told(status=status, body=msgspec.json.encode({"sources": health}) + b"\n")

    def _warn(self, source: str, message: str) -> None:
        """Not for every post of a flood."""
        now = self._site.clock.monotonic()
        if now - self._warned.get(source, -_WARN_EVERY) >= _WARN_EVERY:
            self._warned[source] = now
            self._site.sink(Warned(at=self._site.clock.now(), source=source, message=message))

    @property
    def errors(self) -> tuple[Exception | None, ...]:
        """Of each source, why nothing is asked of it any more; None: it is."""
        return tuple(pusher.refused for pusher in self._pushers.values())


async def listen(
    config: Config,
    *,
    sources: Sequence[str] = (),
    path: str = "/",
    once: bool = False,
    sink: Sink | None = None,
    stop: anyio.Event | None = None,
    ports: Ports | None = None,
) -> ListenReport:
    """Receive what the providers of *config* post, and write each record that was announced as soon as its quota lets.

    It adds to complete harvests and takes no part in proving one: deltas and sweeps stay as they are.

    Args:
        sources: names to restrict it to; (): all whose providers post.
        path: of the URL that is posted to.
        once: do not listen; work off what was received before, then end.
        sink: receives every event as it happens.
        stop: set it to end in good order: posts in hand are answered, what has come is written, the rest is kept.
        ports: the outside world; None: the real one.
    Raises:
        ConfigError, ArgumentError: before anything was opened.
        CannotCreate, Locked: the output directory cannot be used, or another process listens.
        StorageError: what came cannot be kept or written any more; what was acknowledged is safe.
    """
    ports = ports or Ports()
    discovery = await discover(config, sources, ports=ports)
    config = structs.replace(discovery.config, deadline=None)
    chosen = _posting(choose(config, sources, (), ports), sources)
    stop, late = stop or anyio.Event(), anyio.Event()
    out, began = PurePath(config.out), ports.clock.monotonic()
    prepare_output(ports.fs, out)
    watchers: list[Sink] = []

    def publish(event: Event) -> None:
        for watch in watchers:
            watch(event)
        if sink is not None:
            sink(event)

    def waits(name: str) -> None:
        message = f"another process works on it in {out}; what was pushed is written when that has ended"
        publish(Warned(at=ports.clock.now(), source=name, message=message))

    with ExitStack() as held:
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="harvester-store")
        held.callback(executor.shutdown)
        site = Site(
            out=out,
            fs=ports.fs,
            clock=ports.clock,
            rng=ports.rng,
            sink=publish,
            executor=executor,
            compression=Compression(config.compression),
            shard_bytes=config.shard_bytes,
            commit_seconds=config.commit_seconds,
            stop=stop,
            keys_on_disk=ports.keeps_state,
        )
        publish(RunStarted(at=ports.clock.now(), sources=tuple(each.name for each in chosen), out=str(out)))
        for event in discovery.events:
            publish(event)
        async with assemble(config, chosen, ports=ports, sink=publish) as ready:
            settled = await settle(config, chosen, ready, ports=ports, sink=publish, stop=stop)
            # Its own end comes a little later than *stop*: what has come is to be written.
            turns = Turns(ports.fs, out, ports.clock, late, waits)
            listener = Listener(config, chosen, settled, site, turns, ports)
            watchers.append(listener.watch)
            failure: HarvesterError | None = None  # raised outside the task group, which would wrap it
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_set_after, stop, late, ports)
                address = None if once else config.listen or ADDRESS
                try:
                    await listener.run(address, path=path, drain=once, ends=True)
                except HarvesterError as error:
                    failure = error
                tasks.cancel_scope.cancel()
            if failure is not None:
                raise failure
    status = _status(listener, once=once)
    seconds = ports.clock.monotonic() - began
    publish(RunFinished(at=ports.clock.now(), exit_status=status, seconds=seconds))
    return ListenReport(out=str(out), seconds=seconds, exit_status=status, sources=listener.health())


def _posting(chosen: Sequence[Chosen], sources: Sequence[str]) -> tuple[Chosen, ...]:
    """Those of *chosen* whose providers post."""
    silent = [each.name for each in chosen if each.setup.provider.push is None]
    if silent and (sources or len(silent) == len(chosen)):
        raise ArgumentError(f"nothing is posted by the provider of {', '.join(silent)}; deltas bring what changed")
    return tuple(each for each in chosen if each.name not in silent)


async def _set_after(stop: anyio.Event, late: anyio.Event, ports: Ports) -> None:
    await stop.wait()
    await ports.clock.sleep(_LAST_TURN)
    late.set()


def _status(listener: Listener, *, once: bool) -> int:
    if listener.errors and all(listener.errors):
        return CredentialsRefused.exit_status
    return WaitError.exit_status if once and any(map(listener.waiting, listener.names)) else 0


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
