"""Puts the credential on a request that has been admitted, and notices when the answer refuses it."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from harvester.contracts import Auth, Transport
from harvester.errors import CredentialsRefused, TokenRefused
from harvester.model import Action, Request, Response
from harvester.wire.redaction import printable


class Latch:
    """Remembers that the credential of a source was refused, for everyone who shares it.

    What was in flight then is answered, what was waiting is not sent: a refused key that is tried again by every
    walk of a source gets its account locked (FAULTS A03).
    """

    def __init__(self) -> None:
        self._message: str | None = None

    def check(self) -> None:
        """Raises ``CredentialsRefused`` once the credential has been refused; nothing was sent then."""
        if self._message is not None:
            error = CredentialsRefused(self._message)
            error.sent = False
            raise error

    def close(self, error: CredentialsRefused) -> CredentialsRefused:
        """From now on ``check`` raises the same; returns *error*, to be raised."""
        self._message = self._message or str(error)
        return error


class Authorized:
    """The last step before the wire that decides anything, so the token is fresh at the moment of sending.

    It renews nothing: it holds an admission, and a renewal may need one of its own. See ``wire.renewing``.
    """

    def __init__(
        self,
        inner: Transport,
        auth: Auth,
        *,
        source: str,
        latch: Latch | None = None,
        heard: Callable[[Response], None] = lambda _: None,
    ) -> None:
        """*heard* gets each answer that ends here as an error: its headers tell of the quota like any other's."""
        self._inner = inner
        self._auth = auth
        self._source = source
        self._latch = latch or Latch()
        self._heard = heard

    async def send(self, request: Request) -> Response:
        """Raises ``TokenRefused`` (renew, repeat once) or ``CredentialsRefused`` (stop) as the verdict says."""
        self._latch.check()
        authorized, mark = await self._auth.authorize(request)
        response = await self._inner.send(authorized)
        verdict = response.verdict
        if not verdict.reason:
            reason = ""
        else:
            reason = printable(_without_credentials(verdict.reason, request, authorized))
            response = msgspec.structs.replace(response, verdict=msgspec.structs.replace(verdict, reason=reason))
        if verdict.action in (Action.RENEW, Action.REFUSED):
            self._heard(response)
        if verdict.action is Action.RENEW:
            raise TokenRefused(_because(response, reason), mark=mark)
        if verdict.action is Action.REFUSED:
            raise self._latch.close(refused(self._source, _because(response, reason)))
        return response


def refused(source: str, because: str) -> CredentialsRefused:
    return CredentialsRefused(
        f"{source}: the provider refuses the credential ({because}). It was not tried again, to avoid a lock-out; "
        "finished pages are saved. Check the credential and what it is entitled to, then run the same command again."
    )


def _because(response: Response, reason: str) -> str:
    return f"status {response.status}{': ' if reason else ''}{reason}"


def _without_credentials(text: str, bare: Request, authorized: Request) -> str:
    """*text* without the credentials a server may have echoed, also when cut in the middle (FAULTS E04)."""
    for _, value in set(authorized.headers) - set(bare.headers):
        secret = value.rpartition(" ")[2]
        text = re.sub(re.escape(secret[:8]) + r"\S*", "***", text) if len(secret) >= 8 else text.replace(secret, "***")
    return text
