"""The journal of one credential on a Redis or Valkey server, read and left as it is. For ``quota`` and ``plan``."""

from __future__ import annotations

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from harvester.errors import StorageError
from harvester.governor.ledger.entries import news_of
from harvester.governor.ledger.news import News, from_the_beginning
from harvester.governor.ledger.reading import Journal, Told
from harvester.governor.ledger.store import where_is
from harvester.governor.ledger.turn import keys, row_of
from harvester.model import WindowSignal

_PATIENCE = 5.0  # seconds for each answer


def read_store(url: str, credential_id: str) -> Journal:
    """What the server at *url* knows of the credential, at one instant; an empty journal when it knows nothing.

    Raises:
        StorageError: the server does not answer, or refuses us.
    """
    journal, *_ = keys(credential_id)
    try:
        with (
            Redis.from_url(url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE) as client,
            client.pipeline(transaction=True) as both,
        ):
            both.time()
            both.zrange(journal, 0, -1)
            (seconds, micros), members = both.execute()
    except (RedisError, OSError) as exc:
        raise StorageError(f"The quota store {where_is(url)} cannot be read: {exc}") from exc
    now = seconds + micros / 1e6
    news: list[News] = []
    told: list[Told] = []
    for member in members:
        text = member.decode()
        if "|" not in text:
            continue  # the mark that the journal has been begun
        row = row_of(text)
        age = max(0.0, now - row.entry.at)
        item = news_of(row.number, row.entry, age)
        if item is None:
            continue
        news.append(item)
        if row.entry.kind == "told":
            told.append(Told(msgspec.json.decode(row.entry.text, type=WindowSignal), age))
    return Journal(tuple(from_the_beginning(news)), tuple(told))
