"""Spark (Spark Platform / Flexmls, ``/v1``): listings and their siblings in the ``D`` envelope, by skip token."""

from __future__ import annotations

import re
from dataclasses import replace

from harvester.auth.bearer import Bearer
from harvester.decode.envelopes import SparkEnvelope
from harvester.decode.masked import Masks
from harvester.decode.spark_codes import judge_code, read_spark_error
from harvester.decode.spark_fields import SparkFields
from harvester.decode.verdicts import describe, judge_http, printable
from harvester.governor.signals import signals_in
from harvester.model import Action, Budget, PageRequest, Relation, Resource, Response, Verdict, Walk, Window
from harvester.pagers.by_key import EntityByKey
from harvester.pagers.numbered import NumberedPager
from harvester.pagers.odata import collection, with_query
from harvester.pagers.page_number import PageNumberPager
from harvester.pagers.questions import SparkQuestions
from harvester.pagers.sets import SetsByParent
from harvester.pagers.spark_token import SparkTokenPager
from harvester.provider import Cut, KeyListing, Provider, SourceFacts

_SUCCESS_FIRST = re.compile(rb'\s*\{\s*"D"\s*:\s*\{\s*"Success"\s*:\s*true\b')  # spares looking through every page
_ONE_LISTING = re.compile(r"/listings/[^/?]+(?:\?|$)")
_LISTINGS = ("listings", "my/listings", "office/listings", "company/listings")
_PAGE_SIZES = {"listings": 1000, "accounts": 1000}  # with the replication grant; 200 for others (section 4)


def judge(response: Response) -> Verdict:
    """By ``D.Code`` on any status, then by status (sections 3 and 7)."""
    verdict = judge_http(response, no_content=Action.FAULT)
    if verdict.action in {Action.OUTAGE, Action.BROKEN}:
        return verdict
    if verdict.action is Action.USE and _SUCCESS_FIRST.match(response.body):
        return verdict
    error = read_spark_error(response)
    if error is None:
        if verdict.action is Action.USE:
            return Verdict(action=Action.FAULT, reason="the envelope D is missing")
        return _without_code(response, verdict)
    if response.status < 300 and error.success:
        return verdict  # ``Errors`` beside a success are warnings
    by_code = judge_code(response, error)
    if by_code is not None:
        return by_code
    if response.status < 300:
        return Verdict(action=Action.FAULT, reason=printable(f"Success is false: {error.text}"))
    return _without_code(response, verdict)


def _without_code(response: Response, verdict: Verdict) -> Verdict:
    """Statuses that mean something else here than elsewhere: personal tokens do not expire, so 401 ends the run."""
    if response.status == 401:
        return Verdict(action=Action.REFUSED, reason=describe(response))
    if response.status == 404 and _ONE_LISTING.search(response.url):
        return Verdict(action=Action.GONE, reason=verdict.reason)
    return verdict


def how_many(walk: Walk) -> PageRequest:
    """Only the count, outside the token chain, whose last page may come without a token (section 3)."""
    return PageRequest(url=with_query(collection(walk), (("_pagination", "count"), ("_limit", "1"))), size=1)


def _listings(name: str, *, default: bool = False) -> Resource:
    return Resource(name=name, key=("Id",), modified="StandardFields.ModificationTimestamp", default=default)


_SETS = {
    "photos": ("Photos", ("StandardFields.PhotosChangeTimestamp",)),
    "documents": ("Documents", ("StandardFields.DocumentsChangeTimestamp",)),
    "videos": ("Videos", ("StandardFields.VideosChangeTimestamp",)),
    "virtualtours": ("VirtualTours", ()),
    "rooms": ("Rooms", ()),
    "units": ("Units", ()),
    "openhouses": ("OpenHouses", ()),
}
"""What hangs on a listing: its expansion, and the listing's members that move with it where there are some."""

_OWNER = "_ListingKey"  # spliced in: these records do not tell whose they are


def _set_of(expand: str, changes: tuple[str, ...]) -> Relation:
    """A set is asked for inside its listing, several in one request; all sets together cannot be had (section 6)."""
    return Relation(
        parent="listings",
        parent_key=("Id",),
        member=_OWNER,
        stamped=True,
        expand=expand,
        inside=f"StandardFields.{expand}",
        changes=changes,
        modified="StandardFields.ModificationTimestamp",
        collection=False,
    )


def _metadata(name: str, *key: str) -> Resource:
    """A small list that does not move; not harvested unless asked for."""
    return Resource(name=name, key=key, walk="pages", default=False)


def _as_asked(facts: SourceFacts) -> Provider:
    masks = Masks(nested=True, keep=facts.masked == "stars")
    return replace(PROVIDER, envelope=SparkEnvelope(masks), shape=masks.shape)


PROVIDER = Provider(
    name="spark",
    title="Spark API (Flexmls)",
    base_url="https://replication.sparkapi.com/v1",
    auth=Bearer(),
    resources=(
        _listings("listings", default=True),
        Resource(name="accounts", key=("Id",), modified="ModificationTimestamp"),
        Resource(name="contacts", key=("Id",), modified="ModificationTimestamp"),
        Resource(name="openhouses", key=("Id",)),
        _listings("my/listings"),
        _listings("office/listings"),
        _listings("company/listings"),
        *(Resource(name=f"listings/{name}", key=(_OWNER, "Id"), default=False) for name in _SETS),
        _metadata("standardfields"),
        _metadata("customfields"),
        _metadata("customfields/groups", "Id"),
        _metadata("savedsearches", "Id"),
        _metadata("system"),
    ),
    metadata=SparkFields(),
    pagers={
        "chain": SparkTokenPager(page_size=200, page_sizes=_PAGE_SIZES),
        # For grants that allow it; large pages with expansions may run into code 1515.
        "chain_with_expand": SparkTokenPager(page_size=200, page_sizes=_PAGE_SIZES, expand_in_full=True),
        # Several chains side by side, each for what changed in a window of time: a filter makes it a query of the delta
        # phase, in which closed windows are the way to fan out (sections 4 and 5). Tokens stay what they are: opaque.
        "windows": SparkTokenPager(page_size=200, page_sizes=_PAGE_SIZES),
        "pages": PageNumberPager(),
        # Many pages in flight. Nothing says that pages by number are in the order of keys (section 5): it is checked.
        "numbered": NumberedPager(page_size=200, page_sizes=_PAGE_SIZES),
    },
    full="chain",
    cuts={"windows": Cut(by_time=True, at_once=True)},
    instead={"numbered": "chain"},
    closing="chain",
    listing=KeyListing(times=False, select=dict.fromkeys(_LISTINGS, ("ListingKey",))),  # section 8
    fetchers={"by_entity": EntityByKey(slash=True, select="_select", expand="_expand")},
    relations={f"listings/{name}": _set_of(*told) for name, told in _SETS.items()},
    sets=SetsByParent(slash=True, select="_select", expand="_expand", narrow=False),
    doubt=how_many,
    overlap=1200.0,  # the server's caches may be that old (section 8)
    timestamps="iso",
    questions=SparkQuestions(),
    envelope=SparkEnvelope(),
    shape=Masks(nested=True).shape,
    for_source=_as_asked,
    options=frozenset({"masked"}),
    judge=judge,
    default_pause=30.0,
    signals=signals_in("spark"),
    budget=Budget(windows=(Window(requests=2, seconds=1),), in_flight=4),  # none is published (section 7)
    headers=(("Accept", "application/json"), ("X-SparkApi-User-Agent", "harvester")),
    source="Spark Platform documentation, contract sections 1 to 9",
)
