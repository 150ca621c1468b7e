"""The GET methods of the simulated IDX Broker API: what each takes, how its answer is shaped, which versions have it.

Source: IDX Broker contract, sections 4 to 6. Where the contract leaves a shape open, the choice made here is
one a client must cope with anyway: shapes are decided per method, never per API.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

OLDEST = "1.0.4"
LISTING_DETAIL = "1.7.0"  # the version that still has ``clients/listing`` and the results of a saved link
NEWEST = "1.8.0"  # the paged envelope, ``/sold`` areas, widgets, postal codes instead of zip codes

ACTIVE_VERSIONS = (OLDEST, LISTING_DETAIL, NEWEST)

COMPONENTS = ("clients", "leads", "mls", "partners")

SOLD = "sold"  # a path segment that belongs to the method, not to its ids


class Shape(StrEnum):
    """How the rows of a method become a body, before the paged form of newer versions."""

    KEYED = "keyed"  # {"<id>": {...}, ...}
    LIST = "list"  # [{...}, ...]
    WRAPPED = "wrapped"  # {"<wrapper>": [{...}, ...]}
    OBJECT = "object"  # one record: {...}
    SCALAR = "scalar"  # 123
    SINGLE = "single"  # ["text"]


class Span(Struct, frozen=True, kw_only=True):
    """The time parameters a method takes: interval, startDatetime, dateType."""

    dates: tuple[str, ...]  # names ``dateType`` may have; the first one is the default
    longest: int  # hours; a longer interval is refused
    default: float | None = None  # hours meant when no interval is sent; None: everything
    newer: tuple[str, ...] = ()  # names of ``dates`` that only the newest version knows


LISTING_SPAN = Span(dates=("dateAdded", "dateModified"), longest=8765, newer=("dateModified",))
LEAD_SPAN = Span(
    dates=("subscribeDate", "lastEdited", "lastLoginDate", "lastPropertyUpdateDate", "lastActivityDate"),
    longest=168,
    default=1.0,
)


def lead_detail_span(*dates: str) -> Span:
    """The span of a method about leads: at most a week, the last hour unless told otherwise."""
    return Span(dates=dates, longest=168, default=1.0)


class Method(Struct, frozen=True, kw_only=True):
    """One GET method. *name* is its path without ids, and its name as a resource."""

    name: str
    shape: Shape
    id: str = ""  # kind of the primary id: idxID, leadID, listID, linkID; "": none
    id_optional: bool = False  # without the id another list is answered (list ids, all leads)
    second: str = ""  # member that a secondary id in the path selects by; "": none is taken
    span: Span | None = None
    paged: int = 0  # rows a page of the newest version; 0: that method is never paged
    wrapper: str = ""  # member name of the WRAPPED shape
    filters: tuple[str, ...] = ()  # values ``filterField`` may have
    required: tuple[str, ...] = ()  # query parameters without which it answers 400
    partner: bool = False  # needs the ancillary key although it is no method of ``partners``
    empty_list: bool = False  # nothing to say is ``[]`` with status 200, not 204
    capped: bool = False  # more rows than the server's limit are 413
    cut: bool = False  # more rows than a page are left out without a word, in every version
    since: str = OLDEST
    until: str = ""  # first version without it; "": still there

    def active(self, version: str) -> bool:
        """Whether *version* has this method."""
        return rank(self.since) <= rank(version) and (not self.until or rank(version) < rank(self.until))

    @property
    def harvested(self) -> bool:
        """Whether a client can ask for everything it holds without knowing more than ids."""
        return not self.required and not self.partner

    @property
    def stamp(self) -> str:
        """Member a replica puts in front of each record to say whose it is; "" when it is asked for without an id."""
        return f"_{self.id}" if self.id and (not self.id_optional or self.id == "listID") else ""


def rank(version: str) -> tuple[int, ...]:
    """*version* as numbers that compare in order of age."""
    return tuple(int(part) for part in version.split("."))


def effective_version(asked: str | None, preferred: str) -> str:
    """The version that answers: the one asked for if active, silently the newest if not (contract, section 1)."""
    if asked is None:
        return preferred
    return asked if asked in ACTIVE_VERSIONS else NEWEST


def _areas(component: str, id_kind: str, *, optional: bool) -> tuple[Method, ...]:
    """Cities, counties and postal codes, as they are and as sold, of an MLS or of an account's lists."""
    clients = component == "clients"
    versions = {"cities": (OLDEST, ""), "counties": (OLDEST, ""), "postalcodes": (NEWEST, "")}
    versions["zipcodes"] = (OLDEST, NEWEST if clients else "")
    return tuple(
        Method(
            name=f"{component}/{name}{suffix}",
            shape=Shape.LIST,
            id=id_kind,
            id_optional=optional,
            filters=() if clients else ("mlsPtID",),
            paged=50 if clients and name == "postalcodes" else 0,
            empty_list=True,
            since=NEWEST if suffix else since,
            until=until,
        )
        for name, (since, until) in versions.items()
        for suffix in ("", f"/{SOLD}")
        if not (suffix and until)  # zip codes of an account went before sold areas came
    )


_CLIENTS = (
    Method(name="clients/featured", shape=Shape.KEYED, span=LISTING_SPAN, paged=50),
    Method(name="clients/soldpending", shape=Shape.KEYED, span=LISTING_SPAN, paged=50),
    Method(name="clients/offmarket", shape=Shape.KEYED, span=LISTING_SPAN, paged=50, since=NEWEST),
    Method(name="clients/supplemental", shape=Shape.KEYED, span=LISTING_SPAN, paged=50, empty_list=True),
    Method(
        name="clients/listing",
        shape=Shape.OBJECT,
        id="idxID",
        second="listingID",
        partner=True,
        since=LISTING_DETAIL,
        until=NEWEST,
    ),
    Method(
        name="clients/agents",
        shape=Shape.WRAPPED,
        wrapper="agent",
        span=Span(dates=("accountCreated", "lastLoginDate"), longest=8765),
        filters=("agentID", "officeID", "category", "language", "agentName"),
    ),
    Method(
        name="clients/offices",
        shape=Shape.LIST,
        span=Span(dates=("accountCreated", "lastUpdate"), longest=8765),
        filters=("officeID", "stateprovince", "zipcode"),
    ),
    Method(name="clients/savedlinks", shape=Shape.LIST, span=Span(dates=("created",), longest=8765), paged=50),
    Method(name="clients/systemlinks", shape=Shape.LIST),
    Method(name="clients/widgetsrc", shape=Shape.LIST, until=NEWEST),
    Method(name="clients/widgets", shape=Shape.LIST, paged=50, since=NEWEST),
    Method(name="clients/widgets-legacy", shape=Shape.LIST, paged=50, since=NEWEST),
    *_areas("clients", "listID", optional=True),
    Method(name="clients/citieslistname", shape=Shape.LIST),
    Method(name="clients/countieslistname", shape=Shape.LIST),
    Method(name="clients/postalcodeslistname", shape=Shape.LIST, since=NEWEST),
    Method(name="clients/accountinfo", shape=Shape.OBJECT),
    Method(name="clients/accounttype", shape=Shape.SINGLE),
    Method(name="clients/apiversion", shape=Shape.SCALAR),
)

_LEADS = (
    Method(
        name="leads/lead",
        shape=Shape.LIST,
        id="leadID",
        id_optional=True,
        span=LEAD_SPAN,
        paged=500,
        cut=True,
    ),
    Method(
        name="leads/note",
        shape=Shape.KEYED,
        id="leadID",
        second="id",
        span=lead_detail_span("created", "lastAltered"),
    ),
    Method(
        name="leads/property",
        shape=Shape.KEYED,
        id="leadID",
        second="id",
        span=lead_detail_span("created", "lastEdited"),
        empty_list=True,
    ),
    Method(
        name="leads/search",
        shape=Shape.OBJECT,
        id="leadID",
        second="id",
        span=lead_detail_span("created", "lastEdited"),
    ),
    Method(
        name="leads/leadtraffic",
        shape=Shape.LIST,
        id="leadID",
        span=lead_detail_span("date"),
        paged=500,
        capped=True,
    ),
)

_MLS = (
    Method(name="mls/approvedmls", shape=Shape.LIST),
    Method(name="mls/age", shape=Shape.OBJECT, id="idxID"),
    *_areas("mls", "idxID", optional=False),
    Method(name="mls/prices", shape=Shape.KEYED, id="idxID"),
    Method(name="mls/prices/sold", shape=Shape.KEYED, id="idxID", since=NEWEST),
    Method(name="mls/propertycount", shape=Shape.SCALAR, id="idxID"),
    Method(name="mls/propertycount/sold", shape=Shape.SCALAR, id="idxID", since=NEWEST),
    Method(name="mls/propertytypes", shape=Shape.LIST, id="idxID", filters=("mlsPtID",)),
    Method(name="mls/searchfields", shape=Shape.LIST, id="idxID", filters=("mlsPtID", "parentPtID")),
    Method(
        name="mls/searchfieldvalues",
        shape=Shape.LIST,
        id="idxID",
        required=("mlsPtID", "name"),
    ),
    Method(
        name="mls/searchfieldvalues/sold",
        shape=Shape.LIST,
        id="idxID",
        required=("mlsPtID", "name"),
        since=NEWEST,
    ),
)


def _aggregated(name: str, span: Span, *, shape: Shape = Shape.LIST, capped: bool = True, paged: int = 0) -> Method:
    return Method(name=f"partners/aggregated{name}", shape=shape, span=span, capped=capped, paged=paged)


_PARTNERS = (
    Method(name="partners/clients", shape=Shape.LIST, filters=("accountStatus", "accountID")),
    _aggregated("featured", LISTING_SPAN, shape=Shape.KEYED, capped=False, paged=50),
    _aggregated("soldpending", LISTING_SPAN, shape=Shape.KEYED, capped=False, paged=50),
    _aggregated("supplemental", LISTING_SPAN, shape=Shape.KEYED, capped=False, paged=50),
    Method(name="partners/aggregatedlistingstatus", shape=Shape.KEYED, filters=("status",), empty_list=True),
    _aggregated("leads", LEAD_SPAN),
    _aggregated("searches", lead_detail_span("created", "lastEdited")),
    _aggregated("properties", lead_detail_span("created", "lastEdited")),
    _aggregated("leadtraffic", lead_detail_span("date"), paged=500),
    Method(name="partners/aggregatedagents", shape=Shape.LIST, paged=50),
    Method(name="partners/propertytypes", shape=Shape.LIST, id="idxID", id_optional=True),
    Method(name="partners/availablemls", shape=Shape.LIST),
    Method(name="partners/pricing", shape=Shape.OBJECT),
)

METHODS: Mapping[str, Method] = {method.name: method for method in (*_CLIENTS, *_LEADS, *_MLS, *_PARTNERS)}


class Target(Struct, frozen=True, kw_only=True):
    """A path taken apart: the method and the ids behind it."""

    method: Method
    primary: str = ""
    secondary: str = ""


def find(path: str, version: str) -> Target | None:
    """The method that *path* names in *version*, with its ids; None when the component has no such method.

    Ids are not checked: whether ``a001`` exists is a question of data.
    """
    parts = [part for part in path.split("/") if part]
    if len(parts) < 2:
        return None
    stem, ids = "/".join(parts[:2]), parts[2:]
    if ids and ids[0] == SOLD and f"{stem}/{SOLD}" in METHODS:
        stem, ids = f"{stem}/{SOLD}", ids[1:]
    method = METHODS.get(stem)
    if method is None or not method.active(version) or len(ids) > 2:
        return None
    return Target(method=method, primary=ids[0] if ids else "", secondary=ids[1] if len(ids) > 1 else "")


def names(component: str, version: str) -> Sequence[str]:
    """What ``<component>/listmethods`` answers: method names without the component, in table order."""
    prefix = f"{component}/"
    own = (m.name.removeprefix(prefix) for m in METHODS.values() if m.name.startswith(prefix) and m.active(version))
    return (*dict.fromkeys(name.split("/")[0] for name in own), "listcomponents", "listmethods")
