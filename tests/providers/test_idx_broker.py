"""IDX Broker as declared: which methods are harvested, how they are asked, and what the budget is."""

from __future__ import annotations

import pytest

from harvester.auth.api_key import ApiKey
from harvester.model import Action, Headers, PageRequest, Resource, Response, Walk
from harvester.provider import SourceFacts
from harvester.providers.idx_broker import PROVIDER, RESOURCES, declare

BY_NAME = {resource.name: resource for resource in RESOURCES}


def make_walk(resource: Resource, value: str | None = None) -> Walk:
    pager = resource.walk or PROVIDER.full
    return Walk(id="w00", resource=resource, pager=pager, value=value, until="2026-03-01 12:00:00")


def first(resource: Resource) -> PageRequest:
    walk = make_walk(resource, "x1" if resource.per_value else None)
    return PROVIDER.pagers[walk.pager].first(walk)


def test_names_are_unique_also_as_directories() -> None:
    assert len(BY_NAME) == len(RESOURCES) == len({resource.dirname.lower() for resource in RESOURCES})


def test_every_pager_a_resource_names_exists() -> None:
    assert {resource.walk or PROVIDER.full for resource in RESOURCES} == set(PROVIDER.pagers)


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_every_method_is_asked_below_its_own_name(resource: Resource) -> None:
    path = first(resource).url.partition("?")[0]
    assert "{" not in path
    component, method = resource.name.split("/")[:2]
    assert path.startswith(f"{component}/{method}")
    assert path.endswith("/x1") or "/x1/" in path or resource.per_value is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("clients/featured", "clients/featured"),
        ("clients/cities", "clients/cities/x1"),
        ("clients/zipcodes", "clients/zipcodes/combinedActiveMLS"),
        ("clients/savedlinks/count", "clients/savedlinks/x1/count"),
        ("mls/cities", "mls/cities/x1"),
        ("mls/cities/sold", "mls/cities/sold/x1"),
        ("mls/prices/sold", "mls/prices/sold/x1"),
        ("partners/propertytypes", "partners/propertytypes"),
    ],
)
def test_snapshots_are_asked_by_path_alone(name: str, path: str) -> None:
    """1.0.4 documents no parameters; without them a method answers everything."""
    assert first(BY_NAME[name]).url == path


@pytest.mark.parametrize("resource", [r for r in RESOURCES if r.walk == "windows"], ids=lambda resource: resource.name)
def test_every_lead_method_is_asked_by_windows(resource: Resource) -> None:
    """Without an interval they answer the last hour only (contract, section 4)."""
    assert "?interval=168&startDatetime=2026-03-01+12:00:00" in first(resource).url


def test_nothing_about_leads_is_asked_without_a_window() -> None:
    leads = [r for r in RESOURCES if r.name.startswith("leads/") or "lead" in r.name.partition("/")[2]]
    assert len(leads) == 7
    assert all(resource.walk == "windows" for resource in leads)


def test_defaults_are_what_a_client_account_of_version_1_0_4_can_ask() -> None:
    """Partner methods need a partner key, newer ones a newer version, some need parameters."""
    chosen = {resource.name for resource in RESOURCES if resource.default}
    assert {name.split("/")[0] for name in chosen} == {"clients", "leads", "mls"}
    newer = {"clients/offmarket", "clients/widgets", "clients/postalcodes", "mls/postalcodes", "mls/searchfieldvalues"}
    assert not chosen & newer
    assert not [name for name in chosen if name.endswith("/sold")]
    assert {"clients/featured", "leads/lead", "leads/note", "mls/approvedmls", "mls/propertycount"} <= chosen


@pytest.mark.parametrize("resource", [r for r in RESOURCES if r.per_value], ids=lambda resource: resource.name)
def test_a_parent_is_declared_and_gives_the_values(resource: Resource) -> None:
    """Ids come from a method that the same version has and that identifies its records by them."""
    assert resource.per_value is not None
    parent = BY_NAME[resource.per_value.resource]
    assert resource.per_value.member in parent.key
    assert parent.default or not resource.default
    assert resource.per_value.stamp.startswith("_")


def test_a_listing_is_identified_together_with_its_mls() -> None:
    for name in ("clients/featured", "clients/soldpending", "clients/supplemental", "partners/aggregatedfeatured"):
        assert BY_NAME[name].key == ("idxID", "listingID")


def test_only_the_accounts_with_credentials_are_private() -> None:
    assert [resource.name for resource in RESOURCES if resource.private] == ["partners/clients"]


def test_both_format_headers_and_the_version_go_with_every_request() -> None:
    """Either name may be the one that is read; without both the account's preference may be XML."""
    headers = dict(PROVIDER.headers)
    assert headers["outputformat"] == headers["outputtype"] == "json"
    assert headers["apiversion"] == "1.0.4"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_no_header_carries_a_credential() -> None:
    """FAULTS E04, E01: keys are put on by auth, behind the origin check."""
    assert not {name for name, _ in PROVIDER.headers} & {"accesskey", "ancillarykey"}
    assert isinstance(PROVIDER.auth, ApiKey)
    assert list(PROVIDER.auth.secrets()) == ["access_key"]


@pytest.mark.parametrize(("ancillary", "limit"), [(False, 250), (True, 750)])
def test_the_budget_is_the_seeds_hour_with_five_percent_kept_back(ancillary: bool, limit: int) -> None:
    budget = declare(ancillary=ancillary).budget
    (window,) = budget.windows
    assert (window.requests, window.seconds, budget.margin) == (limit, 3600, 0.05)


def test_a_configured_version_is_sent_and_held_to() -> None:
    provider = declare(api_version="1.8.0")
    assert dict(provider.headers)["apiversion"] == "1.8.0"
    answer = Response(
        status=200, headers=Headers([("Api-Version", "1.8.0")]), body=b"[]", url="https://api.example.com"
    )
    assert provider.judge(answer).action is Action.USE
    assert PROVIDER.judge(answer).action is Action.BROKEN


def test_a_source_gets_its_version_and_the_limit_of_its_keys() -> None:
    """A partner's ancillary key triples the hourly limit (contract, section 3)."""
    assert PROVIDER.for_source is not None
    plain = PROVIDER.for_source(SourceFacts(secrets=frozenset({"access_key"})))
    partner = PROVIDER.for_source(SourceFacts(api_version="1.7.0", secrets=frozenset({"access_key", "ancillary_key"})))
    assert (plain.budget.windows[0].requests, dict(plain.headers)["apiversion"]) == (250, "1.0.4")
    assert (partner.budget.windows[0].requests, dict(partner.headers)["apiversion"]) == (750, "1.7.0")


def test_lead_windows_begin_at_the_start_of_the_run() -> None:
    """The planner sets ``until`` for the pagers named here, in the API's own format."""
    assert PROVIDER.look_back == {"windows"}
    assert PROVIDER.timestamps == "spaced"
