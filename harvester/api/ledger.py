"""Which ledger a credential's spending is written to: in memory, beside the harvest, or on a server for containers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path, PurePath

from harvester.api.ports import Ports
from harvester.config.check import check_quota
from harvester.config.schema import Config
from harvester.errors import ConfigError
from harvester.governor.learned import forget
from harvester.governor.ledger import Ledger, MemoryLedger, SqliteLedger
from harvester.governor.ledger.reading import Journal, read_journal
from harvester.model import Budget
from harvester.store import layout


def quota_url(config: Config, ports: Ports) -> str | None:
    """The server that keeps the quota, read and checked; None: it is kept beside the harvest.

    Raises:
        ConfigError: the URL cannot be read or used, or what talks to such servers is not installed.
    """
    if config.quota is None:
        return None
    url = config.quota.read("quota", ports.environment, ports.fs)
    check_quota(url)
    if find_spec("redis") is None:
        raise ConfigError("needs the extra redis: pip install 'harvester[redis]'", path="quota")
    return url


@asynccontextmanager
async def open_ledger(config: Config, identity: str, budget: Budget, ports: Ports) -> AsyncIterator[Ledger]:
    """The ledger of the credential *identity*, closed at the end of the block.

    Raises:
        ConfigError: see ``quota_url``.
        StorageError: the file can neither be opened nor made.
    """
    url = quota_url(config, ports)
    if not ports.keeps_state:
        yield MemoryLedger()
    elif url is not None:
        # Loaded only where it is wanted: most harvests run without the extra.
        from harvester.governor.ledger.redis import open_redis_ledger  # noqa: PLC0415

        share = config.quota_fallback
        async with open_redis_ledger(url, identity, ports.clock, ports.rng, budget, share=share) as shared:
            yield shared
    else:
        ledger = SqliteLedger(Path(layout.quota_file(PurePath(config.out))), identity, ports.clock)
        try:
            yield ledger
        finally:
            ledger.close()


def look_into_ledger(config: Config, identity: str, ports: Ports) -> Journal:
    """What is on record of the credential *identity*, read without disturbing anybody.

    Raises:
        ConfigError: see ``quota_url``.
        StorageError: the ledger is there, but cannot be read.
    """
    url = quota_url(config, ports)
    if not ports.keeps_state:
        return Journal()
    if url is None:
        return read_journal(Path(layout.quota_file(PurePath(config.out))), identity, ports.clock.now().timestamp())
    from harvester.governor.ledger.store_reading import read_store  # noqa: PLC0415

    return read_store(url, identity)


def forget_limits(config: Config, identity: str, ports: Ports) -> int:
    """Drop what was learned of the limits of the credential *identity*, wherever it is kept. How many lessons.

    Spending, pauses and what is left of running windows stay, but for a pause of more than a day (FAULTS S04).

    Raises:
        ConfigError: see ``quota_url``.
        StorageError: the ledger is there, but cannot be changed.
    """
    url = quota_url(config, ports)
    if not ports.keeps_state:
        return 0
    if url is not None:
        from harvester.governor.ledger.store_forgetting import forget_in_store  # noqa: PLC0415

        forget_in_store(url, identity)
    return forget(Path(layout.quota_file(PurePath(config.out))), identity)
