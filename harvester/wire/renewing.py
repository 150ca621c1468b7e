"""Gets the token before a request is admitted, and a new one after it was refused."""

from __future__ import annotations

from harvester.contracts import Auth, Transport
from harvester.errors import ConfigError, ConnectionFailed, CredentialsRefused, TokenRefused
from harvester.model import Request, Response
from harvester.wire.authorized import Latch, refused

_LAPSES = 3  # waits for admission that a token may fail to outlive before that is called a failure


class Renewing:
    """Stands above the governor: whoever waits for a token holds no admission, and each repeat asks for a new one.

    Were the token fetched below, with every admission held by a request that waits for it, a token request that
    counts against the same quota would wait for ever.
    """

    def __init__(self, inner: Transport, auth: Auth, *, source: str, latch: Latch | None = None) -> None:
        self._inner = inner
        self._auth = auth
        self._source = source
        self._latch = latch or Latch()

    async def send(self, request: Request) -> Response:
        """Send; after a refused token renew once and send once more (FAULTS S10).

        Raises:
            CredentialsRefused: the scheme cannot renew, or the renewed token is refused too.
            ConfigError: the token URL is wrong; the path is that of its key.
            ConnectionFailed: tokens lapse faster than requests are admitted; nothing was sent.
        """
        renewed = False
        lapses = 0
        while True:
            self._latch.check()
            try:
                await self._auth.prepare()
            except CredentialsRefused as exc:
                raise self._latch.close(exc) from exc.__cause__
            except ConfigError as exc:
                raise self._located(exc) from exc
            try:
                return await self._inner.send(request)
            except TokenRefused as exc:
                if not exc.sent:
                    lapses += 1
                    if lapses >= _LAPSES:
                        raise ConnectionFailed(
                            f"{self._source}: the token lapsed {lapses} times while its request waited for quota.",
                            sent=False,
                        ) from exc
                elif renewed or not await self._auth.renew(exc.mark):
                    raise self._latch.close(refused(self._source, str(exc).rstrip("."))) from exc
                else:
                    renewed = True

    def _located(self, error: ConfigError) -> ConfigError:
        """*error* with its key's whole path: a scheme knows its keys, not the source that uses it."""
        if not error.path or error.path.startswith("sources."):
            return error
        message = str(error).removeprefix(f"{error.path}: ")
        return ConfigError(message, path=f"sources.{self._source}.{error.path}")
