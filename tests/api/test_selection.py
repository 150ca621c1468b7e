"""Two runs may be one only when the same settings decide which records they hold."""

from __future__ import annotations

import pytest

from harvester import providers
from harvester.api.selection import fingerprint, wanted_of
from harvester.config.schema import ResourceConfig, SourceConfig
from harvester.errors import ConfigError
from harvester.planning.plan import Wanted

LEADS = providers.load("idx_broker")
LEAD = next(resource for resource in LEADS.resources if resource.name == "leads/lead")


@pytest.mark.parametrize(
    "other",
    [
        Wanted(resource=LEAD, horizon=365 * 86400.0),
        Wanted(resource=LEAD, select=("id",)),
        Wanted(resource=LEAD, filter="id eq '1'"),
        Wanted(resource=LEAD, expand="notes"),
        Wanted(resource=LEAD, pager="chain"),
        Wanted(resource=LEAD, headers=(("Accept-Language", "fr"),)),
    ],
    ids=lambda wanted: str([name for name in wanted.__struct_fields__[1:] if getattr(wanted, name)]),
)
def test_a_setting_that_decides_which_records_come_tells_runs_apart(other: Wanted) -> None:
    assert fingerprint(LEADS, "https://api", other) != fingerprint(LEADS, "https://api", Wanted(resource=LEAD))


def test_a_resource_is_another_one_when_its_parent_is() -> None:
    lead = Wanted(resource=LEAD)
    assert fingerprint(LEADS, "https://api", lead, "parent") != fingerprint(LEADS, "https://api", lead, "other")


def test_how_many_records_come_at_a_time_tells_nothing_apart() -> None:
    larger = Wanted(resource=LEAD, page_size=500)
    assert fingerprint(LEADS, "https://api", larger) == fingerprint(LEADS, "https://api", Wanted(resource=LEAD))


@pytest.mark.parametrize(
    ("name", "own", "other"), [("clients/featured", "snapshot", "windows"), ("leads/note", "windows", "snapshot")]
)
def test_a_walk_that_would_reach_only_a_part_of_a_resource_is_refused(name: str, own: str, other: str) -> None:
    """Nothing in its answers tells that there is more: such a run would end complete with records missing."""
    fault = f"{name} is read by the walk '{own}'; '{other}' would lose records"
    with pytest.raises(ConfigError, match=f"^sources.idx.resource: {fault}$"):
        wanted_of("idx", SourceConfig(resource=(ResourceConfig(name=name, walk=other),)), LEADS)
    with pytest.raises(ConfigError, match=f"^sources.idx.walk: {fault}$"):
        wanted_of("idx", SourceConfig(resources=(name,), walk=other), LEADS)
    assert wanted_of("idx", SourceConfig(resource=(ResourceConfig(name=name, walk=own),)), LEADS)[-1].pager == own
