"""What each credential has used of its quota, and what was learned about it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path, PurePath

from msgspec import Struct

from harvester.api.assembly import Setup, host_of, set_up
from harvester.api.ledger import forget_limits, look_into_ledger
from harvester.api.ports import Ports
from harvester.config.check import check_config, check_source_names
from harvester.config.schema import Config
from harvester.config.secrets import SecretStore
from harvester.governor.learned import Learned, read_learned
from harvester.governor.ledger.reading import Told
from harvester.governor.picture import WindowPicture, picture
from harvester.store import layout


class WindowQuota(Struct, frozen=True, kw_only=True):
    """One window of a credential. Amounts are requests or, by *unit*, bytes; times aware UTC."""

    unit: str  # requests or bytes
    seconds: float | None  # its length; None: only the server knows it
    limit: int | None  # what may be used of it, margin and reserve taken off; None: unknown
    stated: int | None  # the same with nothing taken off
    used: int  # requests under way included
    left: int | None  # None: unknown
    frees_at: datetime | None  # when the oldest of *used* stops counting; None: nothing counts
    resets_at: datetime | None  # when the server begins the window anew, as it told; None: it did not
    declared: bool  # by the provider or the configuration; False: answers told of it


class TellingAnswer(Struct, frozen=True, kw_only=True):
    """What an answer said about a window, as it said it; None where it said nothing."""

    at: datetime
    name: str
    unit: str
    seconds: float | None
    limit: int | None
    used: int | None
    remaining: int | None
    resets_at: datetime | None


class CredentialQuota(Struct, frozen=True, kw_only=True):
    """What belongs to one credential, shared by all sources that use it."""

    credential: str  # provider, host and a hash; no secret
    sources: tuple[str, ...]
    windows: tuple[WindowQuota, ...]  # shortest first; (): no limit is known
    open: int  # requests under way
    paused_until: datetime | None  # None: no pause holds
    pause_reason: str
    told: tuple[TellingAnswer, ...]  # what answers said last of each window
    learned: tuple[Learned, ...]  # what is kept for later runs, with its evidence
    forgotten: int = 0  # lessons that this call dropped
    names: tuple[str, ...] = ()  # what sources with several credentials call it
    elsewhere: bool = False  # spending is kept on a server, shared with other containers


class QuotaReport(Struct, frozen=True, kw_only=True):
    """Every credential of a configuration."""

    out: str
    at: datetime  # aware UTC
    credentials: tuple[CredentialQuota, ...]


def quota(
    config: Config, *, sources: Sequence[str] = (), drop: bool = False, ports: Ports | None = None
) -> QuotaReport:
    """Read the quota ledger of *config*. Sends nothing to providers, and does not disturb a harvest under way.

    Args:
        sources: names to restrict it to; (): all that are configured.
        drop: forget what was learned, and the limits that answers told. What was spent is never forgotten.
    Raises:
        ConfigError: with the path of the key. Only secrets that tell credentials apart are read.
        StorageError: the ledger is there, but cannot be read; or the server that keeps it is not.
    """
    ports = ports or Ports()
    check_config(config)
    check_source_names(sources, config)
    secrets = SecretStore(config, environment=ports.environment, fs=ports.fs)
    owners: dict[str, list[tuple[Setup, str]]] = {}
    for setup in [set_up(config, name) for name in sources or config.sources]:
        for name in setup.budgets:
            owners.setdefault(secrets.identity(setup.name, host_of(setup.origin), name), []).append((setup, name))
    now = ports.clock.now()
    return QuotaReport(
        out=config.out,
        at=now,
        credentials=tuple(
            _credential(config, identity, users, now, ports, drop=drop) for identity, users in owners.items()
        ),
    )


def _credential(
    config: Config, identity: str, users: Sequence[tuple[Setup, str]], now: datetime, ports: Ports, *, drop: bool
) -> CredentialQuota:
    ledger = Path(layout.quota_file(PurePath(config.out)))
    forgotten = forget_limits(config, identity, ports) if drop else 0
    journal = look_into_ledger(config, identity, ports)
    learned = read_learned(ledger, identity)
    setup, name = users[0]
    seen = picture(setup.budgets[name], journal.news, learned)
    return CredentialQuota(
        credential=identity,
        sources=tuple(setup.name for setup, _ in users),
        names=tuple(dict.fromkeys(name for _, name in users if name)),
        windows=tuple(_window(window, now) for window in seen.windows),
        open=seen.open,
        paused_until=_later(now, seen.paused or None),
        pause_reason=seen.reason,
        told=tuple(_told(told, now) for told in journal.told),
        learned=learned,
        forgotten=forgotten,
        elsewhere=config.quota is not None,
    )


def _window(window: WindowPicture, now: datetime) -> WindowQuota:
    return WindowQuota(
        unit=window.unit,
        seconds=window.seconds,
        limit=window.limit,
        stated=window.stated,
        used=window.used,
        left=window.left,
        frees_at=_later(now, window.frees_in),
        resets_at=_later(now, window.resets_in),
        declared=window.declared,
    )


def _told(told: Told, now: datetime) -> TellingAnswer:
    signal = told.signal
    at = now - timedelta(seconds=told.age)
    return TellingAnswer(
        at=at,
        name=signal.name,
        unit=signal.unit,
        seconds=signal.seconds,
        limit=signal.limit,
        used=signal.used,
        remaining=signal.remaining,
        resets_at=_later(at, signal.resets_in),
    )


def _later(now: datetime, seconds: float | None) -> datetime | None:
    return None if seconds is None else now + timedelta(seconds=seconds)
