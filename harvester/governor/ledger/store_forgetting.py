"""Drops from a journal on a Redis or Valkey server what answers told of limits. What was spent stays."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError

from harvester.errors import StorageError
from harvester.governor.ledger.entries import without_limit
from harvester.governor.ledger.store import where_is
from harvester.governor.ledger.turn import keys, row_of
from harvester.governor.refusals import LONGEST_PAUSE

_PATIENCE = 5.0  # seconds for each answer


def forget_in_store(url: str, credential_id: str) -> None:
    """Forget the limits that answers told, and a pause that nobody waits for, for all who share the credential.

    One that runs has read them already, and keeps to them until its end.

    Raises:
        StorageError: the server does not answer, or refuses us.
    """
    journal, *_ = keys(credential_id)
    try:
        with Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE) as client:
            # Whoever writes in between makes it begin again: redis watches the journal.
            client.transaction(lambda pipe: _rewrite(pipe, journal), journal)
    except (RedisError, OSError) as exc:
        raise StorageError(f"The quota store {where_is(url)} cannot be changed: {exc}") from exc


def _rewrite(pipe: Pipeline, journal: str) -> None:
    members: list[Any] = pipe.zrange(journal, 0, -1, withscores=True)
    pipe.multi()
    for member, number in members:
        text: str = member.decode()
        if "|" not in text:
            continue  # the mark that the journal has been begun
        entry = row_of(text).entry
        endless = entry.kind == "pause" and entry.size > LONGEST_PAUSE * 1000
        left = without_limit(entry.text) if entry.kind == "told" else None if endless else entry.text
        if left == entry.text:
            continue
        pipe.zrem(journal, member)
        if left is not None:
            pipe.zadd(journal, {text.removesuffix(entry.text) + left: number})
