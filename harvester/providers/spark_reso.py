"""Spark RESO Web API: the replication surface of Spark, chained by next links that hold a skip token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from msgspec import Raw

from harvester.auth.bearer import Bearer
from harvester.decode.encoded_names import EncodedNames
from harvester.decode.envelopes import ODataEnvelope
from harvester.decode.masked import Masks
from harvester.decode.odata_metadata import ODataMetadata
from harvester.decode.spark_codes import judge_code, read_spark_error
from harvester.decode.verdicts import describe, judge_http, judge_odata
from harvester.governor.signals import signals_in
from harvester.model import Action, Budget, PageRequest, Phase, Relation, Resource, Response, Verdict, Walk, Window
from harvester.pagers.by_key import EntityByKey
from harvester.pagers.chain import ChainPager
from harvester.pagers.odata import collection, with_query
from harvester.pagers.questions import ODataQuestions
from harvester.pagers.sets import SetsByParent
from harvester.provider import Cut, KeyListing, Provider, SourceFacts

PAGE_SIZE = 1000  # with the replication grant (contract, section 2)
_NOTHING: frozenset[str] = frozenset()
_STRICT = {Phase.FULL: _NOTHING, Phase.SWEEP: _NOTHING}  # $select, $count and $top only (section 3)
_EXPAND = {Phase.FULL: frozenset({"expand"}), Phase.SWEEP: _NOTHING}


def judge(response: Response) -> Verdict:
    """By code where the answer has one of Spark's, in either envelope, then by status (section 8)."""
    verdict = judge_http(response, no_content=Action.FAULT)
    if verdict.action is Action.USE:
        return _hidden_failure(response) or verdict
    if verdict.action in {Action.OUTAGE, Action.BROKEN}:
        return verdict
    error = read_spark_error(response)
    by_code = judge_code(response, error) if error is not None else None
    if by_code is not None:
        return by_code
    if response.status == 401:  # personal tokens do not expire
        return Verdict(action=Action.REFUSED, reason=describe(response))
    return judge_odata(response, verdict)


def _hidden_failure(response: Response) -> Verdict | None:
    """A failure in the ``D`` envelope that came with status 200."""
    if not response.body[:64].lstrip(b"\xef\xbb\xbf \t\r\n{").startswith(b'"D"'):
        return None
    error = read_spark_error(response)
    if error is None or error.success:
        return None
    return judge_code(response, error) or Verdict(action=Action.FAULT, reason="Success is false")


def count(walk: Walk) -> PageRequest:
    """How many records there are: ``$count`` and ``$top`` are allowed in every phase."""
    return PageRequest(url=with_query(collection(walk), (("$count", "true"), ("$top", "1"))), size=1)


def _set_of(name: str, *changes: str, member: str = "ListingKey", inside: bool = True) -> Relation:
    """What hangs on a listing, by the collection below it, or where *inside* by expansion (sections 1, 3 and 6).

    A set inside the listing's record may be cut where a page of ten would be, which is the default (section 2).
    """
    return Relation(
        parent="Property",
        parent_key=("ListingKey",),
        member=member,
        of="ResourceName" if member == "ResourceRecordKey" else None,
        path=name,
        expand=name if inside else None,
        inside=name,
        most=10,
        changes=changes,
        modified="ModificationTimestamp",
    )


def _reso(name: str) -> Resource:
    return Resource(name=name, key=(f"{name}Key",), modified="ModificationTimestamp")


def _as_asked(facts: SourceFacts) -> Provider:
    masks, names = Masks(nested=False, keep=facts.masked == "stars"), EncodedNames(facts.names or {})

    readable = () if facts.names is None else ("readable names",)  # which ones there are grows with time

    def shape(records: Sequence[Raw], body: bytes, walk: Walk) -> Sequence[Raw]:
        return masks.mark(names.resolve(records, body, walk.resource), body)

    return replace(PROVIDER, envelope=ODataEnvelope(shape), shape=(*masks.shape, *readable))


_MASKS = Masks(nested=False)

PROVIDER = Provider(
    name="spark_reso",
    title="Spark RESO Web API",
    base_url="https://replication.sparkapi.com/Reso/OData",
    auth=Bearer(),
    resources=(
        Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp"),
        *(_reso(name) for name in ("Member", "Office", "Media", "Room", "Unit", "OpenHouse")),
    ),
    metadata=ODataMetadata(),
    open_resources=True,  # Lookup, Teams and others exist for some keys
    pagers={
        "chain": ChainPager(page_size=PAGE_SIZE, page_size_parameter="$top", allowed=_STRICT, count=True),
        "chain_with_expand": ChainPager(page_size=PAGE_SIZE, page_size_parameter="$top", allowed=_EXPAND, count=True),
        # Several chains side by side, each for what changed in a window of time: a filter makes it a query of the delta
        # phase, in which closed windows are the way to fan out (sections 3 and 4). Links stay what they are: opaque.
        "windows": ChainPager(page_size=PAGE_SIZE, page_size_parameter="$top", allowed=_STRICT, count=True),
    },
    full="chain",
    cuts={"windows": Cut(by_time=True, at_once=True)},
    closing="chain",
    listing=KeyListing(times=False),  # section 3: the key alone
    fetchers={"by_entity": EntityByKey()},
    relations={
        # Dozens of photos a listing: by expansion nobody could tell whether they are all.
        "Media": _set_of(
            "Media",
            "PhotosChangeTimestamp",
            "VideosChangeTimestamp",
            "DocumentsChangeTimestamp",
            member="ResourceRecordKey",
            inside=False,
        ),
        "Room": _set_of("Room"),
        "Unit": _set_of("Unit"),
        "OpenHouse": _set_of("OpenHouse"),
    },
    sets=SetsByParent(page_size=PAGE_SIZE),
    overlap=1200.0,  # the server's caches may be that old (section 5)
    timestamps="iso",
    count=count,
    doubt=count,
    counts_pages=True,
    questions=ODataQuestions(),
    envelope=ODataEnvelope(lambda records, body, walk: _MASKS.mark(records, body)),
    shape=_MASKS.shape,
    for_source=_as_asked,
    options=frozenset({"masked", "readable_names", "names"}),
    judge=judge,
    default_pause=30.0,
    signals=signals_in("spark"),
    budget=Budget(windows=(Window(requests=2, seconds=1),), in_flight=4),  # none is published
    headers=(("Accept", "application/json"),),
    source="Spark RESO Web API replication documentation, contract sections 1 to 8",
    timeout=60.0,  # large pages are slow (section 8)
)
