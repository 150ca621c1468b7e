"""IMS (restats): four resources, one walk for each database the credential may read, no totals and no links."""

from __future__ import annotations

from harvester.auth.client_credentials import ClientCredentials
from harvester.decode.envelopes import ImsEnvelope
from harvester.decode.verdicts import allowed_page_size, describe, error_text, judge_http
from harvester.governor.signals import signals_in
from harvester.model import Action, Budget, PageRequest, PerValue, Resource, Response, Verdict, Walk
from harvester.pagers.by_key import FilterByKey
from harvester.pagers.keyset import KeysetPager
from harvester.pagers.newest_first import NewestFirstPager
from harvester.pagers.odata import ODataDialect, collection, with_query
from harvester.pagers.questions import ODataQuestions
from harvester.pagers.skip import SkipPager
from harvester.provider import Cut, KeyListing, Provider

PAGE_SIZE = 5000  # the maximum; left out, 100 rows come and look like a small data set (contract, section 5)
_LATEST = 50  # rows an anchor is taken from: half of them may be dated wrongly
# The night the clocks go back, local times without a zone come again: what changes then is stamped with an hour that
# was read before (FAULTS T07). No text tells which night that is, nor whose clock it was.
_HOUR = 3600.0
DEFAULT_WAIT = 60.0  # seconds after a 429 that names no wait (section 6)

# OriginatingSystemName is demanded in every filter and is no column: rows get it as a stamp (section 3).
_DATABASE = PerValue(resource="Database", member="OriginatingSystemName", stamp="OriginatingSystemName")
_DIALECT = ODataDialect(scope=_DATABASE.member, quoted_times=True, ascending=" asc")


def judge(response: Response) -> Verdict:
    """The status table of section 7: 401 is mostly a bad request here, and 403 a bad token."""
    verdict = judge_http(response, no_content=Action.FAULT)
    if verdict.action is Action.OUTAGE:
        return verdict
    status, text = response.status, error_text(response).lower()
    if status == 429:
        return Verdict(
            action=Action.THROTTLED,
            reason=verdict.reason,
            wait=DEFAULT_WAIT if verdict.wait is None else verdict.wait,
        )
    if status == 400 and "invalid credentials" in text:
        return Verdict(action=Action.REFUSED, reason=describe(response))
    if status == 401:
        if size := allowed_page_size(text):
            return Verdict(action=Action.SHRINK, reason=describe(response), page_size=size)
        if "must be sent" in text or "is not allowed" in text:
            return Verdict(action=Action.SKIP, reason=describe(response))
        return Verdict(action=Action.RENEW, reason=describe(response))
    if status == 403:
        return Verdict(action=Action.RENEW, reason=describe(response))
    return verdict


def anchor(walk: Walk) -> PageRequest:
    """The latest changes there are. Timestamps have no zone, so no clock can tell when a walk began (section 8)."""
    size = min(walk.page_size or _LATEST, _LATEST)
    query = (
        ("$filter", _DIALECT.filter(walk)),
        ("$orderby", f"{walk.resource.modified} desc"),
        ("$top", str(size)),
    )
    return PageRequest(url=with_query(collection(walk), query), size=size)


def _per_database(name: str, *key: str) -> Resource:
    return Resource(name=name, path=f"v1/{name}", key=key, modified="ModificationTimestamp", per_value=_DATABASE)


# A short page is not the last one by being short (FAULTS P04): there is no count that would show what it left out.
_NUMBERS = frozenset({"MLSID"})
_PATIENCE = 20  # pages: the end of a walk is told by its own rows, and later ones may have been there (section 8)
_BY_KEY = KeysetPager(dialect=_DIALECT, page_size=PAGE_SIZE, by="key", numbers=_NUMBERS)
_BY_TIME = KeysetPager(dialect=_DIALECT, page_size=PAGE_SIZE, numbers=_NUMBERS, patience=_PATIENCE, meets_again=True)

PROVIDER = Provider(
    name="ims",
    title="IMS (restats)",
    base_url="https://ims-api.restats.com",
    auth=ClientCredentials(
        token_url="https://ims-api.restats.com/authorization/token",  # noqa: S106 - a URL, no secret
        scope="api",
        idle_seconds=9000,
        counts_against_quota=True,
    ),
    resources=(
        Resource(name="Database", path="v1/Database", key=("MLSID", "MLSName")),
        _per_database("Property", "ListingId"),
        _per_database("Member", "MemberMlsId", "MemberFullName"),
        _per_database("Office", "OfficeName", "OfficeAddress"),
    ),
    pagers={
        # Pages by offset, many in flight; there is no total, so only a few are asked for in advance (section 5).
        "offset": SkipPager(dialect=_DIALECT, page_size=PAGE_SIZE),
        "keyset": _BY_KEY,
        "changes": NewestFirstPager(behind=_BY_TIME),
        # The same side by side: ranges of the key, or windows of the modification time (section 5).
        "ranges": _BY_KEY,
        "windows": _BY_TIME,
    },
    cuts={
        "ranges": Cut(by_time=False, last=_BY_KEY.last),
        "windows": Cut(by_time=True, last=_BY_TIME.last),
        "changes": Cut(by_time=True, last=_BY_TIME.last),  # deltas, where full walks are cut
    },
    full="keyset",
    instead={"offset": "windows", "windows": "keyset", "ranges": "windows"},
    closing="changes",
    listing=KeyListing(times=False),  # section 4: the key fields
    fetchers={"by_filter": FilterByKey(dialect=_DIALECT, numbers=frozenset({"MLSID"}), ask_for=True)},
    overlap=_HOUR + 300.0,
    timestamps="zoneless",
    anchor=anchor,
    questions=ODataQuestions(dialect=_DIALECT, counts=False, portions=False),
    envelope=ImsEnvelope(),
    judge=judge,
    default_pause=60.0,
    signals=signals_in("ims"),
    budget=Budget(in_flight=4),  # limits exist per account; their numbers come from the administrator (section 6)
    headers=(("Accept", "application/json"),),
    source="IMS API documentation (restats), contract sections 1 to 8",
)
