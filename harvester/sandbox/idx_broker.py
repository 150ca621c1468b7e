"""IDX Broker, simulated: components and methods, six response shapes, an hourly allowance, XML by preference.

Source: IDX Broker contract; its simulator checklist is section 11. The API stands for one account that is a partner
as well, so that one pair of keys reaches every component.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from harvester.sandbox.holders import number_of, several
from harvester.sandbox.idx_account import Account
from harvester.sandbox.idx_answers import Answers, IdxOptions
from harvester.sandbox.idx_entries import encode
from harvester.sandbox.idx_methods import COMPONENTS, NEWEST, effective_version, find, names, rank
from harvester.sandbox.idx_shapes import as_xml
from harvester.sandbox.idx_truth import resources, truth
from harvester.sandbox.idx_windows import BadWindow
from harvester.sandbox.quota import Limit, Quota
from harvester.sandbox.settings import Settings
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.simulator import Answer, Ask

ACCESS_KEY = "sandbox-access-key-001"
SECOND_ACCESS_KEY = "sandbox-access-key-002"  # the same account, an allowance of its own
CLIENT_ACCESS_KEY = "sandbox-access-key-003"  # belongs to no partner: nothing of ``partners`` for it
ANCILLARY_KEY = "sandbox-ancillary-0001"

_PARTNER_KEYS = (ACCESS_KEY, SECOND_ACCESS_KEY)
_KEYS = (*_PARTNER_KEYS, CLIENT_ACCESS_KEY)

_UNLIMITED = 10**9
_WEEK = 7 * 86_400  # seconds; the longest window there is for leads


class IdxBroker:
    """One account behind three access keys; see the module."""

    name = "idx_broker"

    def __init__(self, settings: Settings) -> None:
        self._options = settings.of(self.name, IdxOptions)
        self._clock = settings.clock
        self._limited = settings.quota
        self._credentials = settings.credentials
        self.account = Account(settings, lead_days=self._options.lead_days)
        self._answers = Answers(self.account, self._options)
        self._quotas = {
            "": self._hourly(settings, self._options.per_hour),
            ANCILLARY_KEY: self._hourly(settings, self._options.per_hour_ancillary),
        }

    def _hourly(self, settings: Settings, requests: int) -> Quota:
        """An allowance for each access key; accesses are counted even when nothing is limited."""
        kind: Literal["clock", "sliding"] = "clock" if self._options.hour == "clock" else "sliding"
        most = requests if settings.quota else _UNLIMITED
        limit = Limit(name=f"{requests} per hour", requests=most, seconds=3600.0, kind=kind)
        return Quota((limit,), time_scale=settings.time_scale)

    # -------------------------------------------------------------- the simulator's interface

    def answer(self, ask: Ask) -> Answer:
        key = ask.headers.get("accesskey", "")
        ancillary = ask.headers.get("ancillarykey", "")
        if not key:
            return Answer(status=406)
        number = number_of(key, ACCESS_KEY)
        if (key not in _KEYS and number is None) or ancillary not in self._quotas:
            return Answer(status=401)
        asked = ask.headers.get("apiversion")
        version = effective_version(NEWEST if asked in self._options.retired else asked, self._options.version)
        decision = self._quotas[ancillary].take(key, ask.now, ask.elapsed)
        headers = (("Hourly-Access-Key-Usage", str(decision.windows[0].used)), ("Api-Version", version))
        if decision.refused is not None:
            return Answer(status=412, headers=headers, refused=decision.refused.name)
        status, body = self._respond(
            ask, version, partner=bool(ancillary) or key in _PARTNER_KEYS or number is not None
        )
        if not body:
            return Answer(status=status, headers=headers)
        wanted = ask.headers.get("outputtype") or ask.headers.get("outputformat") or self._options.format
        if wanted.lower() == "json":
            return Answer(status=status, headers=(*headers, ("Content-Type", "application/json")), body=body)
        return Answer(status=status, headers=(*headers, ("Content-Type", "application/xml")), body=as_xml(body))

    def resources(self) -> Sequence[str]:
        return resources()

    def truth(self, resource: str) -> Iterator[bytes]:
        return truth(self.account, self._answers, resource, version=self._options.version)

    def shelves(self, resource: str) -> Sequence[Shelf]:
        """None: the account keeps its rows as lists."""
        return ()

    def client_config(self, url: str, identity_url: str) -> Mapping[str, object]:
        """The source a client needs for this simulator; leads as far back as there are any."""
        source: dict[str, object] = {
            "provider": self.name,
            "base_url": url,
            "access_key": ACCESS_KEY,
            "ancillary_key": ANCILLARY_KEY,
            "api_version": self._options.version,
            "lead_horizon": _WEEK * max(1, math.ceil((self._options.lead_days + 1) / 7)),
        }
        if self._limited:
            source["budget"] = {"windows": self._quotas[ANCILLARY_KEY].budget()}
        return several(source, ("access_key",), self._credentials)

    def holder(self, ask: Ask) -> int | None:
        return number_of(ask.headers.get("accesskey", ""), ACCESS_KEY)

    def mutate(self, count: int) -> None:
        self.account.mutate(count, self._clock.now())

    def expire_tokens(self) -> None:
        """Nothing: the keys do not expire."""

    # -------------------------------------------------------------- one request

    def _respond(self, ask: Ask, version: str, *, partner: bool) -> tuple[int, bytes]:
        """Status and JSON body of an admitted request; an empty body has no content type either."""
        component, _, rest = ask.path.strip("/").partition("/")
        if component not in COMPONENTS:
            return (409 if rank(version) < rank(NEWEST) else 404), b""
        if component == "partners" and not partner:
            return 405, b""
        if rest == "listcomponents":
            return 200, encode([name for name in COMPONENTS if partner or name != "partners"])
        if rest == "listmethods":
            return 200, encode(list(names(component, version)))
        target = find(ask.path, version)
        if target is None or (target.method.partner and "ancillarykey" not in ask.headers):
            return 405, b""
        if ask.method in ("POST", "PUT"):
            return self._answers.describe(target, ask)
        if ask.method != "GET":
            return 405, b""
        try:
            return self._answers.read(target, ask, version)
        except BadWindow as refusal:
            return refusal.status, b""


SIMULATOR = IdxBroker
