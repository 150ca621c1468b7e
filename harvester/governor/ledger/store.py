"""A Redis or Valkey server that keeps a journal: one turn there and back, or what is wrong in our words."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from harvester.errors import ConfigError, StorageError
from harvester.governor.ledger.turn import SCRIPT, SHA, Outcome, keys, outcome

SILENCE = 0.5
"""Seconds without an answer after which a server is silent."""

# What a server says that will soon serve again: starting, busy, short of memory or disk, changing its master.
_SOON = ("LOADING", "BUSY", "OOM", "MISCONF", "READONLY", "CLUSTERDOWN", "MASTERDOWN", "TRYAGAIN", "NOREPLICAS")


class Silent(Exception):
    """No answer, or one that only says "later". The turn may have been done."""


def where_is(url: str) -> str:
    """*url* for people: without the password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}:{parts.port or 6379}"


class QuotaStore:
    """The journal of one credential on the server at *url*. Connects when first asked, and again when need be."""

    def __init__(self, url: str, credential_id: str) -> None:
        self.where = where_is(url)
        self._keys = keys(credential_id)
        self._client = Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),  # a turn is repeated as a whole, with its own number
            socket_timeout=None,
            socket_connect_timeout=SILENCE,
            single_connection_client=True,
            client_name="harvester",
        )

    async def exchange(self, arguments: list[str | bytes | int]) -> Outcome:
        """Take the turn that *arguments* describe.

        Raises:
            Silent: ask again.
            ConfigError: the server refuses us.
            StorageError: it is no server for journals.
        """
        try:
            async with asyncio.timeout(SILENCE):
                try:
                    reply = await self._client.evalsha(SHA, len(self._keys), *self._keys, *arguments)
                except NoScriptError:
                    reply = await self._client.eval(SCRIPT, len(self._keys), *self._keys, *arguments)
            return outcome(reply)
        except (AuthenticationError, AuthorizationError, NoPermissionError) as exc:
            raise ConfigError(f"the quota store {self.where} refuses us: {exc}", path="quota") from exc
        except TimeoutError as exc:
            raise Silent(f"no answer within {SILENCE:g} s") from exc
        except ResponseError as exc:
            if str(exc).startswith(_SOON):
                raise Silent(str(exc)) from exc
            raise StorageError(f"The quota store {self.where} does not work as a journal: {exc}") from exc
        except ValueError as exc:
            raise StorageError(f"The quota store {self.where} gave an answer nobody can read.") from exc
        except (RedisError, OSError) as exc:
            raise Silent(str(exc) or type(exc).__name__) from exc

    async def close(self) -> None:
        """Let go of the connection."""
        await self._client.aclose()
