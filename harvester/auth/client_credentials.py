"""OAuth 2.0 client credentials: a token for an id and a secret, renewed before it ends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from urllib.parse import urlencode

import msgspec

from harvester.auth.kept_token import kept, recalled
from harvester.auth.single_flight import SingleFlight
from harvester.auth.token_answer import GrantedToken, error_code, read_token
from harvester.contracts import Auth, Clock, Credential, TokenKeeper, Transport
from harvester.errors import (
    ConfigError,
    CredentialsRefused,
    HarvesterError,
    ProtocolError,
    RepeatError,
    ServerFault,
    Throttled,
    TimedOut,
    TokenRefused,
    WaitError,
)
from harvester.model import Request, Response

_TRIES = 10  # token requests for one renewal; with the waits below some five minutes
_FIRST_TRIES = 4  # before any token was had: a URL that is wrong rather than an endpoint that is down
_FIRST_HANGING = 2  # likewise, when a connection hangs and so has cost its time already
_FIRST_WAIT = 1.0  # seconds before the second try, doubling …
_LONGEST_WAIT = 60.0  # … to this
_LONGEST_HINT = 3600.0  # a server that asks for a longer wait gets a run that ends and is run again


@dataclass(frozen=True, kw_only=True)
class ClientCredentials:
    """The grant of RFC 6749, section 4.4, with id and secret in the form.

    A token ends at its ``expires_in`` and, where *idle_seconds* is given, that long after its last use
    (*ttl_mode* ``idle``) or after its issue (``fixed``); see the IMS contract, section 2. It is renewed when
    *renew_at* of the nearer bound has passed.
    """

    token_url: str | None = None  # None: must be configured
    scope: str | None = None
    idle_seconds: float | None = None
    ttl_mode: Literal["idle", "fixed"] = "idle"
    renew_at: float = 0.9
    counts_against_quota: bool = False

    @property
    def tokens_count(self) -> bool:
        return self.counts_against_quota

    def secrets(self) -> Sequence[str]:
        return ("client_id", "client_secret")

    def takes(self) -> Sequence[str]:
        return self.secrets()

    def token_endpoint(self, credential: Credential) -> str | None:
        """Raises ``ConfigError`` when neither the provider nor the configuration names one."""
        url = credential.token_url or self.token_url
        if url is None:
            raise ConfigError("this provider needs the URL of its token endpoint", path="token_url")
        return url

    def bind(
        self, credential: Credential, transport: Transport, clock: Clock, keeper: TokenKeeper | None = None
    ) -> Auth:
        """Raises ``ConfigError`` for a missing id, secret or token URL. Sends nothing yet."""
        form = [("grant_type", "client_credentials")]
        for name in self.secrets():
            value = credential.reveal(name)
            if not value:
                raise ConfigError("this secret is needed and not configured", path=name)
            form.append((name, value))
        scope = credential.scope or self.scope
        if scope:
            form.append(("scope", scope))
        request = Request(
            method="POST",
            url=self.token_endpoint(credential) or "",
            headers=(("Content-Type", "application/x-www-form-urlencoded"), ("Accept", "application/json")),
            body=urlencode(form).encode("ascii"),
        )
        return _TokenAuth(self, request, credential, transport, clock, keeper)


@dataclass
class _Held:
    """The token in use. Times are monotonic seconds."""

    granted: GrantedToken
    mark: str
    issued: float
    used: float

    def __repr__(self) -> str:
        return f"_Held({self.mark})"


class _TokenAuth:
    """One token for all who share the credential.

    While the old token is still good, one caller renews it and the others go on with it (FAULTS A02). When it is
    not, all wait for the same request (FAULTS A01).
    """

    def __init__(
        self,
        scheme: ClientCredentials,
        request: Request,
        credential: Credential,
        transport: Transport,
        clock: Clock,
        keeper: TokenKeeper | None,
    ) -> None:
        self._scheme = scheme
        self._request = request
        self._credential = credential
        self._transport = transport
        self._clock = clock
        self._keeper = keeper
        self._refused: GrantedToken | None = None  # one that the server did not take
        self._held: _Held | None = None
        self._issues = 0
        self._flight = SingleFlight()
        self._doubted = False  # given up before any token was had: whoever asks again tries once
        self._not_before = 0.0  # monotonic: when a renewal that failed early is tried again
        self._final: HarvesterError | None = None  # asking again could lock the client out (FAULTS A03)

    async def prepare(self) -> None:
        """Raises:
        CredentialsRefused: the endpoint refuses id or secret; asked once, told to everyone after.
        ProtocolError, ConfigError: it is no token endpoint.
        WaitError: it has not answered for minutes, in a run without a token for seconds, or asks to wait longer than
            an hour.
        """
        if self._age() < self._scheme.renew_at:
            return
        if self._age() >= 1:
            await self._flight.join(self._renew)
        elif not self._flight.busy and self._clock.monotonic() >= self._not_before:
            try:
                await self._flight.join(self._renew)
            except (RepeatError, WaitError):
                if self._age() >= 1:
                    raise

    async def authorize(self, request: Request) -> tuple[Request, str]:
        held = self._held
        if held is None or self._age() >= 1:
            raise TokenRefused("The token lapsed before the request was sent.", mark=self._mark(), sent=False)
        held.used = self._clock.monotonic()
        header = ("Authorization", f"Bearer {held.granted.value}")
        return msgspec.structs.replace(request, headers=(*request.headers, header)), held.mark

    async def renew(self, mark: str) -> bool:
        """Late refusals of an older token find a newer one here and cause no request (FAULTS A05)."""
        if self._held is not None and mark == self._mark():
            self._refused = self._held.granted
            self._held = None
        await self.prepare()
        return True

    async def close(self) -> None:
        await self._flight.close()

    def _mark(self) -> str:
        return self._held.mark if self._held else ""

    def _age(self) -> float:
        """The share of its life the token has used up; 1 or more: it is not to be sent."""
        held = self._held
        if held is None:
            return 1.0
        now = self._clock.monotonic()
        age = (now - held.issued) / held.granted.life
        if self._scheme.idle_seconds is not None:
            since = held.used if self._scheme.ttl_mode == "idle" else held.issued
            age = max(age, (now - since) / self._scheme.idle_seconds)
        return age

    async def _renew(self) -> None:
        """Get a token, with waits of its own between tries (FAULTS A02)."""
        if self._recalled():
            return
        if self._final is not None:
            raise type(self._final)(str(self._final))
        for attempt in itertools.count():
            asked = self._clock.monotonic()
            try:
                granted = self._granted(await self._transport.send(self._request))
            except RepeatError as exc:
                wait = max(_hint(exc), min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt))
                self._not_before = self._clock.monotonic() + max(wait, 30.0)
                if self._age() < 1:
                    raise  # the old token still serves: nobody needs to wait
                if attempt + 1 >= self._tries(exc) or wait > _LONGEST_HINT:
                    self._doubted = not self._issues
                    raise self._later(exc, wait) from exc
                await self._clock.sleep(wait)
            except (CredentialsRefused, ProtocolError, ConfigError) as exc:
                self._final = exc
                raise
            else:
                self._issues += 1
                # Counted from before the question: its life began at some instant in between.
                self._held = _Held(granted, f"token {self._issues}", issued=asked, used=asked)
                if self._keeper is not None:
                    at = self._clock.now() - timedelta(seconds=self._clock.monotonic() - asked)
                    self._keeper.keep(kept(granted, at))
                self._not_before = 0.0
                return

    def _recalled(self) -> bool:
        """Take the token of an earlier run, or of another process that renewed it before us, if it is still good."""
        if self._keeper is None:
            return False
        found = recalled(self._keeper.recall(), self._clock.now())
        if found is None or (self._refused is not None and found.granted.value == self._refused.value):
            return False
        earlier, began = self._held, self._clock.monotonic() - found.age
        self._held = _Held(found.granted, f"kept {found.mark}", issued=began, used=began)
        if self._age() < self._scheme.renew_at:
            return True
        self._held = earlier
        return False

    def _tries(self, exc: RepeatError) -> int:
        if self._issues:
            return _TRIES
        if self._doubted:
            return 1
        return _FIRST_HANGING if isinstance(exc, TimedOut) else _FIRST_TRIES

    def _granted(self, response: Response) -> GrantedToken:
        status = response.status
        if 200 <= status < 300:
            return read_token(response.body)
        code = error_code(response.body, [self._credential.reveal(name) or "" for name in self._scheme.secrets()])
        shown = f"status {status}{': ' if code else ''}{code}"
        if status == 429:
            raise Throttled(
                f"The token endpoint refuses for quota reasons ({shown}).", wait=response.verdict.wait or 0.0
            )
        if status >= 500 or status == 408:
            raise ServerFault(f"The token endpoint fails ({shown}).", status=status, wait=response.verdict.wait or 0.0)
        if status in (400, 401, 403):
            raise CredentialsRefused(
                f"The token endpoint refuses the client ({shown}). It was asked once, to avoid a lock-out. Check "
                "client_id, client_secret and scope."
            )
        if 300 <= status < 400:
            # Never followed: the form holds the secret (FAULTS A06).
            raise ProtocolError(f"The token endpoint redirects ({shown}); the secret was not sent on. Check token_url.")
        raise ConfigError(f"no token endpoint answers there ({shown})", path="token_url")

    def _later(self, exc: RepeatError, wait: float) -> WaitError:
        until = self._clock.now() + timedelta(seconds=wait)
        doubt = "" if self._issues else " No token was had in this run: check token_url. If it is right, try later."
        return WaitError(
            f"No token can be had: {exc}{doubt} Finished pages are saved; run the same command again after "
            f"{until:%Y-%m-%d %H:%M} UTC.",
            resets_at=until,
        )


def _hint(exc: RepeatError) -> float:
    return exc.wait if isinstance(exc, Throttled | ServerFault) else 0.0
