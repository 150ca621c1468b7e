"""Puts the credential on a request that has been admitted, and notices when the answer refuses it."""

from __future__ import annotations

import re

import msgspec

from harvester.contracts import Auth, Transport
from harvester.errors import CredentialsRefused, TokenRefused
from harvester.model import Action, Request, Response
from harvester.wire.redaction import printable


class Authorized:
    """The last step before the wire that decides anything, so the token is fresh at the moment of sending.

    It renews nothing: it holds an admission, and a renewal may need one of its own. See ``wire.renewing``.
    """

    def __init__(self, inner: Transport, auth: Auth, *, source: str) -> None:
        self._inner = inner
        self._auth = auth
        self._source = source

    async def send(self, request: Request) -> Response:
        """Raises ``TokenRefused`` (renew, repeat once) or ``CredentialsRefused`` (stop) as the verdict says."""
        authorized, mark = await self._auth.authorize(request)
        response = await self._inner.send(authorized)
        verdict = response.verdict
        if not verdict.reason:
            reason = ""
        else:
            reason = printable(_without_credentials(verdict.reason, request, authorized))
            response = msgspec.structs.replace(response, verdict=msgspec.structs.replace(verdict, reason=reason))
        if verdict.action is Action.RENEW:
            raise TokenRefused(f"{self._source}: the token was refused ({_because(response, reason)}).", mark=mark)
        if verdict.action is Action.REFUSED:
            raise refused(self._source, _because(response, reason))
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
