"""Any other RESO Web API server: OData with next links of any form, a bearer token or client credentials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from harvester.auth.bearer import Bearer
from harvester.auth.client_credentials import ClientCredentials
from harvester.auth.webhooks import guard
from harvester.contracts import Auth, AuthScheme, Clock, Credential, TokenKeeper, Transport
from harvester.decode.envelopes import ODataEnvelope
from harvester.decode.notices import read_notices
from harvester.decode.odata_metadata import ODataMetadata
from harvester.decode.verdicts import judge_http, judge_odata
from harvester.errors import ConfigError
from harvester.governor.signals import any_signal
from harvester.model import Action, Budget, PageRequest, Response, Verdict, Walk
from harvester.pagers.by_key import EntityByKey, FilterByKey
from harvester.pagers.chain import ChainPager
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.odata import ODataDialect, collection, with_query
from harvester.pagers.questions import ODataQuestions
from harvester.pagers.skip import SkipPager
from harvester.provider import Cut, Provider, Push


@dataclass(frozen=True)
class TokenOrClient:
    """A fixed ``token`` when one is configured, else ``client_id`` and ``client_secret`` at ``token_url``."""

    token: AuthScheme = field(default_factory=Bearer)
    client: AuthScheme = field(default_factory=ClientCredentials)

    @property
    def tokens_count(self) -> bool:
        return False

    def secrets(self) -> Sequence[str]:
        """None is needed by itself; which ones are missing is told when the scheme is bound."""
        return ()

    def takes(self) -> Sequence[str]:
        return (*self.token.takes(), *self.client.takes())

    def token_endpoint(self, credential: Credential) -> str | None:
        return self._scheme(credential).token_endpoint(credential)

    def bind(
        self, credential: Credential, transport: Transport, clock: Clock, keeper: TokenKeeper | None = None
    ) -> Auth:
        """Raises ``ConfigError`` when neither way is configured."""
        return self._scheme(credential).bind(credential, transport, clock, keeper)

    def _scheme(self, credential: Credential) -> AuthScheme:
        if credential.reveal("token"):
            return self.token
        if credential.reveal("client_id") or credential.reveal("client_secret"):
            return self.client
        raise ConfigError("configure token, or client_id and client_secret with token_url", path="token")


def judge(response: Response) -> Verdict:
    """HTTP and OData, nothing private."""
    return judge_odata(response, judge_http(response, no_content=Action.FAULT))


def count(walk: Walk) -> PageRequest:
    """How many records there are, where the server supports ``$count``."""
    return PageRequest(url=with_query(collection(walk), (("$count", "true"), ("$top", "1"))), size=1)


def beyond(walk: Walk, number: int) -> PageRequest:
    """Whether there is anything behind *number* records; a server that ignores ``$skip`` answers with the first."""
    query = (("$select", ",".join(walk.resource.key)), ("$skip", str(number)), ("$top", "1"))
    return PageRequest(url=with_query(collection(walk), query), size=1)


_BY_TIME = KeysetPager(dialect=ODataDialect(), page_size=1000, count=True)
_BY_KEY = KeysetPager(dialect=ODataDialect(), page_size=1000, by="key", count=True)

PROVIDER = Provider(
    name="odata",
    title="RESO Web API (any server)",
    base_url=None,
    auth=TokenOrClient(),
    resources=(),
    metadata=ODataMetadata(),
    open_resources=True,
    pagers={
        "chain": ChainPager(prefer_page_size=True),
        # For servers that order by the key and take $skip, or whose links hide one: many pages in flight.
        "offset": SkipPager(page_size=1000, may_count=True),
        # For servers whose links hold a $skip over an order that changes: a keyset cannot lose rows to it.
        "keyset": KeysetPager(dialect=ODataDialect(), page_size=1000),
        # Several of it side by side, where the server filters and orders by time, or by key, and counts.
        "windows": _BY_TIME,
        "ranges": _BY_KEY,
    },
    cuts={"windows": Cut(by_time=True, last=_BY_TIME.last), "ranges": Cut(by_time=False, last=_BY_KEY.last)},
    full="chain",
    instead={"offset": "windows", "windows": "ranges", "keyset": "ranges", "ranges": "chain"},
    closing="chain",
    overlap=300.0,
    timestamps="iso",
    count=count,
    beyond=beyond,
    fetchers={"by_filter": FilterByKey(), "by_entity": EntityByKey()},
    questions=ODataQuestions(),
    probed=True,
    envelope=ODataEnvelope(),
    judge=judge,
    signals=any_signal,
    budget=Budget(in_flight=4),
    push=Push(read=read_notices, guard=guard),  # EntityEvent, as the RESO Web API describes it (RCP-027)
    options=frozenset({"link_lifetime"}),  # Trestle: 5 minutes
    headers=(("Accept", "application/json"),),
    source="OData 4.01, part 1: protocol; RESO Web API Core 2.0",
)
