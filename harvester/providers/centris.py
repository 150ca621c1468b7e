"""Centris Data Distribution (Quebec): RESO over OData, 20 requests a minute, rows ordered by when they changed."""

from __future__ import annotations

from harvester.auth.client_credentials import ClientCredentials
from harvester.auth.webhooks import guard
from harvester.decode.envelopes import ODataEnvelope
from harvester.decode.notices import read_notices
from harvester.decode.odata_metadata import ODataMetadata
from harvester.decode.verdicts import judge_http, judge_odata
from harvester.governor.signals import signals_in
from harvester.model import Action, Budget, PageRequest, Response, Verdict, Walk, Window
from harvester.pagers.by_key import EntityByKey
from harvester.pagers.chain import ChainPager
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.odata import ODataDialect, collection, with_query
from harvester.pagers.questions import ODataQuestions
from harvester.provider import Cut, Provider, Push, by_convention

PAGE_SIZE = 1000  # the server's own size is not stated; with $top no link comes (contract, section 5)


def judge(response: Response) -> Verdict:
    """The status table of section 7, which is what the statuses say."""
    return judge_odata(response, judge_http(response, no_content=Action.FAULT))


def count(walk: Walk) -> PageRequest:
    """How many records there are; ``@odata.count`` comes on demand only."""
    return PageRequest(url=with_query(collection(walk), (("$count", "true"), ("$top", "1"))), size=1)


def beyond(walk: Walk, number: int) -> PageRequest:
    """Whether there is anything behind *number* records."""
    query = (("$select", ",".join(walk.resource.key)), ("$skip", str(number)), ("$top", "1"))
    return PageRequest(url=with_query(collection(walk), query), size=1)


_KEYSET = KeysetPager(dialect=ODataDialect(), page_size=PAGE_SIZE, count=True)

PROVIDER = Provider(
    name="centris",
    title="Centris Data Distribution",
    base_url="https://datadistributionqc.centris.ca/v1/odata",
    auth=ClientCredentials(token_url="https://accounts.centris.ca/connect/token"),  # noqa: S106 - a URL, no secret
    resources=(by_convention("Property"), by_convention("Member"), by_convention("Office")),
    metadata=ODataMetadata(query="$format=application/json", accept="application/json"),
    open_resources=True,  # the rest of the data model comes from the configuration (section 3)
    pagers={
        # The default: a row that changes moves to the end and is met again there, no other row moves.
        "keyset": _KEYSET,
        # The same in several windows side by side, for accounts with more than 20 requests a minute (section 5).
        "windows": _KEYSET,
        # Its links hold a $skip over an order that changes while it is read: only with a key sweep in the same run.
        "chain": ChainPager(count=True),
    },
    doubts={
        "chain": "next links hold an offset, and rows that change move, so rows that shift are not seen; "
        "run with --prove"
    },
    full="keyset",
    instead={"keyset": "chain", "windows": "chain"},
    cuts={"windows": Cut(by_time=True, last=_KEYSET.last)},
    closing="keyset",
    overlap=300.0,
    timestamps="iso",
    count=count,
    beyond=beyond,
    fetchers={"by_entity": EntityByKey()},  # keys cannot be filtered by (section 4)
    counts_pages=True,
    questions=ODataQuestions(),
    envelope=ODataEnvelope(),
    judge=judge,
    signals=signals_in("centris"),
    budget=Budget(windows=(Window(requests=20, seconds=60),), in_flight=4),  # section 6; the day's limit is told
    headers=(("Accept", "application/json"),),
    push=Push(read=read_notices, guard=guard),  # section 9
    language="en",  # section 8
    options=frozenset({"translations", "language", "languages"}),
    source="Centris Data Distribution documentation, contract sections 1 to 9",
)
