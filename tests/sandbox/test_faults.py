"""Fault rules: which requests they meet, how often, and what they do."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from harvester.sandbox.exchange import Reply, Sandbox
from harvester.sandbox.faults import Asked, FaultError, Faults, parse_rules
from harvester.sandbox.registry import load_simulators, simulator_names
from harvester.sandbox.settings import Settings
from harvester.sandbox.simulator import fits_resource
from tests.fakes.clock import FakeClock, JumpingClock


def asked(path: str = "v1/Property", provider: str = "ims", *, token: bool = False) -> Asked:
    return Asked(provider=provider, path=path, target=path, token=token)


def faults(*rules: Mapping[str, object], seed: int = 0) -> Faults:
    return Faults(parse_rules(json.dumps(rules).encode()), seed=seed)


def statuses(subject: Faults, count: int, one: Asked | None = None) -> list[int]:
    found = []
    for _ in range(count):
        effects = subject.effects(one or asked())
        found.append(effects[0][1].status if effects else 0)
    return found


def test_unknown_faults_are_refused_with_the_list_of_known_ones() -> None:
    with pytest.raises(FaultError, match=r"unknown fault 'teapot'.*429:none.*cut:len.*token:ttl"):
        faults({"fault": "teapot"})


def test_a_rule_for_a_provider_that_does_not_exist_is_refused_with_the_known_ones() -> None:
    """It would be in force and never fire."""
    with pytest.raises(FaultError, match=r"no provider 'sparc', only centris, .*ims, .*spark"):
        faults({"fault": "status:503", "match": {"provider": "sparc"}})


def test_each_simulator_is_named_like_its_file() -> None:
    """Rules are checked by the names of the files, before any simulator is made."""
    everything = load_simulators(Settings(records=1, options={"odata_server": {}}))
    assert list(everything) == simulator_names()


@pytest.mark.parametrize(
    "rule",
    [
        {"fault": "status:99"},
        {"fault": "status:"},
        {"fault": "status:503,2"},
        {"fault": "429:soon"},
        {"fault": "cut:most"},
        {"fault": "401:twice"},
        {"fault": "latency:-1"},
        {"fault": "rst:-1"},
        {"fault": "maint:404"},
        {"fault": "status:503", "p": 2},
        {"fault": "status:503", "time": 2},
        {"fault": "status:503", "match": {"nth": 0}},
        {"match": {}},
    ],
)
def test_rules_that_make_no_sense_are_refused(rule: dict[str, object]) -> None:
    with pytest.raises(FaultError):
        faults(rule)


def test_bad_rules_leave_the_old_ones_in_force() -> None:
    subject = faults({"fault": "status:503"})
    with pytest.raises(FaultError):
        subject.replace([*subject.rules, *faults({"fault": "status:500"}).rules][:1] + parse_rules(b'[{"fault":"x"}]'))
    assert [rule.fault for rule in subject.rules] == ["status:503"]


def test_a_rule_matches_by_provider_resource_and_path() -> None:
    subject = faults({"fault": "status:503", "match": {"provider": "ims", "resource": "Property", "path": "v1/P"}})
    assert statuses(subject, 1) == [503]
    assert statuses(subject, 1, asked("v1/Member")) == [0]
    assert statuses(subject, 1, asked(provider="centris")) == [0]


def test_a_resource_is_a_path_its_entities_and_what_lies_below() -> None:
    for path in ("v1/odata/Property", "Property('1')", "Property", "Property('1')/Media", "clients/featured/x"):
        resource = "clients/featured" if "clients" in path else "Property"
        assert fits_resource(path, resource), path
    for path in ("PropertyUnit", "v1/MyProperty", "clients/featuredx"):
        assert not fits_resource(path, "Property")
        assert not fits_resource(path, "clients/featured")


def test_a_rule_fires_for_the_nth_request_and_so_many_times() -> None:
    assert statuses(faults({"fault": "status:503", "match": {"nth": 3}}), 5) == [0, 0, 503, 0, 0]
    assert statuses(faults({"fault": "status:503", "times": 2}), 4) == [503, 503, 0, 0]
    assert statuses(faults({"fault": "401:once"}), 3) == [401, 0, 0]
    assert statuses(faults({"fault": "401:once", "times": 2}), 3) == [401, 401, 0]


def test_a_page_keeps_its_number_until_it_was_served() -> None:
    subject = faults({"fault": "status:503", "match": {"resource": "Property", "page": 2}, "times": 2})
    for expected, served in ((0, 200), (503, 503), (503, 503), (0, 200), (0, 200)):
        assert statuses(subject, 1) == [expected]
        subject.answered(asked(), served)


def test_chance_is_seeded_and_bursts_are_whole() -> None:
    """FAULTS S01."""
    rule = {"fault": "status:502,0.2,3"}
    first = statuses(faults(rule, seed=5), 200)
    assert first == statuses(faults(rule, seed=5), 200)
    assert first != statuses(faults(rule, seed=6), 200)
    runs = "".join("x" if each else " " for each in first).split()
    assert all(len(run) >= 3 for run in runs[:-1])
    assert 0.2 < sum(map(bool, first)) / 200 < 0.6


def test_token_requests_are_met_only_by_rules_about_paths() -> None:
    token = asked("authorization/token", token=True)
    assert statuses(faults({"fault": "status:503"}), 1, token) == [0]
    assert statuses(faults({"fault": "status:503", "match": {"path": "token"}}), 1, token) == [503]


async def reply(sandbox: Sandbox, target: str = "/ims/v1/Property", **headers: str) -> Reply:
    return await sandbox.exchange(method="GET", origin="http://127.0.0.1", target=target, headers=headers)


def sandbox_with(clock: FakeClock, *rules: Mapping[str, object]) -> Sandbox:
    sandbox = Sandbox(Settings(records=20, clock=clock))
    sandbox.faults.replace(parse_rules(json.dumps(rules).encode()))
    return sandbox


async def retry_after(fault: str) -> tuple[int, dict[str, str]]:
    answered = await reply(sandbox_with(FakeClock(), {"fault": fault}))
    return answered.status, dict(answered.headers)


async def test_a_429_comes_in_every_form() -> None:
    """FAULTS S03, S04, S05."""
    status, headers = await retry_after("429:none")
    assert (status, headers.get("Retry-After")) == (429, None)
    for value in ("7", "-1", "1e9", "٣", "Sun, 01 Mar 2026 11:00:00 GMT", ""):
        status, headers = await retry_after(f"429:ra={value}")
        assert (status, headers.get("Retry-After", "")) == (429, value)
    status, headers = await retry_after("429:date_skew")
    assert headers["Date"] == "Sun, 01 Mar 2026 11:50:00 GMT"
    assert headers["Retry-After"] == "Sun, 01 Mar 2026 11:50:05 GMT"


async def test_a_pause_in_the_middle_holds_for_everybody_on_the_credential() -> None:
    """FAULTS Q12: knocking inside the pause is refused and logged as such."""
    clock = FakeClock()
    sandbox = sandbox_with(clock, {"fault": "429:mid=10", "match": {"nth": 2}})
    found = []
    for after, key in ((0, "a"), (1, "a"), (3, "a"), (0, "b"), (6.5, "a"), (1, "a")):
        clock.advance(after)
        found.append((await reply(sandbox, authorization=key)).status)
    assert found == [403, 429, 429, 403, 429, 403]
    assert [entry.paused for entry in sandbox.log] == [False, False, True, False, True, False]


async def test_latency_delays_the_answer_on_the_sandboxs_clock() -> None:
    """FAULTS Q11."""
    clock = JumpingClock()
    sandbox = sandbox_with(clock, {"fault": "latency:2.5"})
    await reply(sandbox)
    assert clock.slept == [2.5]
    sandbox = sandbox_with(clock, {"fault": "latency:ramp"})
    clock.slept.clear()
    for _ in range(120):
        await reply(sandbox)
    assert clock.slept[0] < 0.2
    assert clock.slept == sorted(clock.slept)
    assert clock.slept[-1] == pytest.approx(10)


async def test_maintenance_and_emptiness_come_instead_of_the_answer() -> None:
    """FAULTS S07, H13."""
    answered = await reply(sandbox_with(FakeClock(), {"fault": "maint:200"}))
    assert (answered.status, answered.body[:9]) == (200, b"<!DOCTYPE")
    answered = await reply(sandbox_with(FakeClock(), {"fault": "empty:204"}))
    assert (answered.status, answered.body) == (204, b"")


async def test_the_log_names_the_faults_a_request_met() -> None:
    sandbox = sandbox_with(FakeClock(), {"fault": "status:500"}, {"fault": "rst:10"})
    answered = await reply(sandbox)
    assert answered.cut is not None
    assert [entry.fault for entry in sandbox.log] == ["status:500 rst:10"]
