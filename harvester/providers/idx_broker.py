"""IDX Broker: one account's listings, roster, leads and MLS dictionaries; many small methods, 250 requests an hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from harvester.auth.api_key import ApiKey
from harvester.decode.idx_shapes import IdxEnvelope
from harvester.decode.idx_verdicts import judge_for
from harvester.governor.signals import signals_in
from harvester.model import Budget, PerValue, Resource, Window
from harvester.pagers.lead_windows import LeadWindowPager
from harvester.pagers.snapshot import SnapshotPager
from harvester.provider import KeyListing, Provider, SourceFacts

API_VERSION = "1.0.4"  # what the rules here describe; a newer one is an option
_LISTING = ("idxID", "listingID")  # a listing number is unique within its MLS only
_PER_MLS = PerValue(resource="mls/approvedmls", member="id", stamp="_idxID")
_PER_LEAD = PerValue(resource="leads/lead", member="id", stamp="_leadID")
_PER_LINK = PerValue(resource="clients/savedlinks", member="id", stamp="_savedlinkID")
_LEADS_A_WINDOW = 500  # leads in one answer, at most
_ROWS_AN_AGGREGATE = 5000


def _plain(names: str, *key: str, default: bool = True) -> Iterable[Resource]:
    """Methods that one request answers."""
    return (Resource(name=name, key=key, default=default) for name in names.split())


def _each(parent: PerValue, names: str, *key: str, default: bool = True, walk: str | None = None) -> Iterable[Resource]:
    """Methods asked once per id of another one's records."""
    return (
        Resource(name=name, path=f"{name}/{{value}}", key=key, per_value=parent, default=default, walk=walk)
        for name in names.split()
    )


def _windows(names: str, cap: int | None, *key: str, default: bool = True) -> Iterable[Resource]:
    """Lead methods, which answer one window of time."""
    return (Resource(name=name, key=key, page_size=cap, walk="windows", default=default) for name in names.split())


def _per_list(area: str, *, default: bool = True) -> Resource:
    """An account's area lists. The bare method names only the lists, as ``<area>listname`` does, with their names."""
    parent = PerValue(resource=f"clients/{area}listname", member="id", stamp="_listID")
    return Resource(name=f"clients/{area}", path=f"clients/{area}/{{value}}", per_value=parent, default=default)


# Without ``default``: newer than 1.0.4, or for partner keys, or in need of parameters. Methods whose records have
# no documented identity get no key: their answers are whole sets, so nothing comes twice.
RESOURCES = (
    *_plain("clients/featured clients/soldpending clients/supplemental", *_LISTING),
    *_plain("clients/offmarket", *_LISTING, default=False),
    *_plain("clients/agents", "agentID"),
    *_plain("clients/offices", "officeID"),
    *_plain("clients/savedlinks", "id"),
    *_plain("clients/systemlinks clients/widgetsrc"),
    *_plain("clients/widgets clients/widgets-legacy", default=False),
    *_plain("clients/citieslistname clients/countieslistname", "id"),
    *_plain("clients/postalcodeslistname", "id", default=False),
    _per_list("cities"),
    _per_list("counties"),
    _per_list("postalcodes", default=False),
    # 1.0.4 has no list of these lists; this is the one that always exists.
    Resource(name="clients/zipcodes", path="clients/zipcodes/combinedActiveMLS"),
    *_plain("clients/accountinfo clients/accounttype clients/apiversion"),
    Resource(
        name="clients/savedlinks/results",
        path="clients/savedlinks/{value}/results",
        key=_LISTING,
        per_value=_PER_LINK,
        default=False,
    ),
    Resource(
        name="clients/savedlinks/count",
        path="clients/savedlinks/{value}/count",
        per_value=_PER_LINK,
        default=False,
    ),
    *_windows("leads/lead", _LEADS_A_WINDOW, "id"),
    # One walk a lead, with windows too: without an interval these methods answer the last hour as well. Partner
    # accounts get the same rows far cheaper from the aggregates below.
    *_each(_PER_LEAD, "leads/note leads/property leads/leadtraffic", "id", walk="windows"),
    *_each(_PER_LEAD, "leads/search", walk="windows"),
    *_plain("mls/approvedmls", "id"),
    *_each(_PER_MLS, "mls/age mls/cities mls/counties mls/zipcodes mls/prices"),
    *_each(_PER_MLS, "mls/propertycount mls/propertytypes mls/searchfields"),
    *_each(_PER_MLS, "mls/postalcodes mls/cities/sold mls/counties/sold mls/postalcodes/sold", default=False),
    *_each(_PER_MLS, "mls/zipcodes/sold mls/prices/sold mls/propertycount/sold", default=False),
    *_each(_PER_MLS, "mls/searchfieldvalues mls/searchfieldvalues/sold", default=False),  # filter: mlsPtID=…&name=…
    Resource(name="partners/clients", key=("accountID",), default=False, private=True),
    *_plain("partners/aggregatedfeatured partners/aggregatedsoldpending", *_LISTING, default=False),
    *_plain("partners/aggregatedsupplemental", *_LISTING, default=False),
    *_plain("partners/aggregatedlistingstatus partners/aggregatedagents", default=False),
    *_windows("partners/aggregatedleads partners/aggregatedsearches", _ROWS_AN_AGGREGATE, "id", default=False),
    *_windows("partners/aggregatedproperties", _ROWS_AN_AGGREGATE, "id", default=False),
    *_windows("partners/aggregatedleadtraffic", _ROWS_AN_AGGREGATE, "id", default=False),
    *_plain("partners/propertytypes partners/availablemls partners/pricing", default=False),
)

# A listing that leaves one of these is in another one, or has a status (section 8): absence is not deletion.
_LISTINGS = ("clients/featured", "clients/soldpending", "clients/supplemental")
_OFF_MARKET = "clients/offmarket"  # newer than 1.0.4: asked for where that is in use
_AGGREGATES = ("partners/aggregatedfeatured", "partners/aggregatedsoldpending", "partners/aggregatedsupplemental")
_LEAD_DATES = ("subscribeDate", "lastEdited", "lastLoginDate", "lastPropertyUpdateDate", "lastActivityDate")
# What may have moved when something changed (section 8): a lead may change without ``lastEdited``.
_DATES = {
    **dict.fromkeys(("leads/lead", "partners/aggregatedleads"), _LEAD_DATES),
    **dict.fromkeys(("leads/property", "partners/aggregatedproperties"), ("created", "lastEdited")),
    "partners/aggregatedsearches": ("created", "lastEdited"),
    "leads/note": ("created", "lastAltered"),
    **dict.fromkeys(("leads/leadtraffic", "partners/aggregatedleadtraffic"), ("",)),  # visits do not change
}
_SIZED = frozenset(
    {
        *("clients/featured", "clients/soldpending", "clients/offmarket", "clients/supplemental"),
        *("clients/savedlinks", "clients/widgets", "clients/widgets-legacy", "clients/postalcodes"),
        *("partners/aggregatedfeatured", "partners/aggregatedsoldpending"),
        *("partners/aggregatedsupplemental", "partners/aggregatedagents"),
    }
)
_WHOLE = frozenset({"clients/accountinfo", "leads/search", "partners/pricing"})
_CREDENTIALS = ("apikey", "accesskey", "ancillarykey", "password", "secret", "token")
_WITHHELD = {"partners/clients": _CREDENTIALS}


def _elsewhere(api_version: str) -> Mapping[str, tuple[str, ...]]:
    """By resource of listings, the others: a listing that one of them names no more is sold, or of no MLS any more."""
    of_clients = (*_LISTINGS, *([_OFF_MARKET] if api_version != API_VERSION else []))
    of_partners = (*_AGGREGATES, "partners/aggregatedlistingstatus")  # knows listings of unknown status as well
    found = {name: tuple(other for other in of_clients if other != name) for name in (*_LISTINGS, _OFF_MARKET)}
    return found | {name: tuple(other for other in of_partners if other != name) for name in _AGGREGATES}


def declare(*, api_version: str = API_VERSION, ancillary: bool = False) -> Provider:
    """IDX Broker as one source uses it.

    Args:
        api_version: sent with every request, and the only one whose answers are used.
        ancillary: a partner's own key is sent too, which triples the hourly limit.
    """
    return Provider(
        name="idx_broker",
        title="IDX Broker",
        base_url="https://api.idxbroker.com",
        auth=ApiKey(headers={"accesskey": "access_key", "ancillarykey": "ancillary_key?"}),
        resources=RESOURCES,
        pagers={"snapshot": SnapshotPager(sized=_SIZED), "windows": LeadWindowPager(dates=_DATES)},
        full="snapshot",
        listing=KeyListing(
            times=False, whole=True, elsewhere=_elsewhere(api_version)
        ),  # section 8: a snapshot is the set
        look_back=frozenset({"windows"}),
        look_back_changes=frozenset(_DATES),
        overlap=3600.0,  # section 8
        envelope=IdxEnvelope(whole=_WHOLE, withheld=_WITHHELD),
        judge=judge_for(api_version),
        signals=signals_in("idx_broker"),
        budget=Budget(windows=(Window(seconds=3600, requests=750 if ancillary else 250),), in_flight=4, margin=0.05),
        headers=(
            ("Content-Type", "application/x-www-form-urlencoded"),
            # Published clients send outputtype, the older reference names outputformat. Without either the
            # account's preference decides, and that may be XML.
            ("outputformat", "json"),
            ("outputtype", "json"),
            ("apiversion", api_version),
        ),
        timestamps="spaced",
        options=frozenset({"api_version", "lead_horizon"}),
        for_source=_for_source,
        source="IDX Broker API reference 1.0.4; where it is silent, that of 1.8.0 (contract, sections 1 to 10)",
    )


def _for_source(facts: SourceFacts) -> Provider:
    return declare(api_version=facts.api_version or API_VERSION, ancillary="ancillary_key" in facts.secrets)


PROVIDER = declare()
