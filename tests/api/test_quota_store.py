"""``quota = "redis://…"``: harvests into different directories, as containers make them, spend one quota."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

import harvester
from harvester.api.plan import plan
from harvester.api.quota import quota
from harvester.errors import ConfigError
from harvester.governor.ledger import redis as redis_ledger
from harvester.sandbox.exchange import Sandbox
from tests.fakes.quota_stores import Store, binary

ONLY_IMS = ["ims"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    if binary("redis") is None:
        pytest.skip("there is no redis-server on this machine")
    directory = tmp_path / "store"
    directory.mkdir()
    store = Store("redis", directory, password="canary")
    store.start()
    yield store
    store.stop()


def container(sandbox: Sandbox, tmp_path: Path, name: str, *overrides: str) -> harvester.Config:
    """The configuration of one container, with a directory of its own."""
    return harvester.parse_config(sandbox.config_toml(), overrides=[f"out={tmp_path / name}", *overrides])


async def test_two_containers_write_their_requests_into_one_journal(
    sandbox: Sandbox, tmp_path: Path, store: Store
) -> None:
    """FAULTS Q08."""
    configs = [container(sandbox, tmp_path, name, f"quota={store.url}") for name in ("one", "other")]
    reports = await asyncio.gather(*(harvester.run(config, sources=ONLY_IMS) for config in configs))
    assert all(report.exit_status == 0 for report in reports)
    for name in ("one", "other"):
        assert not list((tmp_path / name / "_harvester").glob("quota*"))
    assert journal_length(store) == len(sandbox.log.of("ims")) > 0  # token requests count as well


async def test_without_the_store_the_run_ends_resumable(
    sandbox: Sandbox, tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail closed."""
    monkeypatch.setattr(redis_ledger, "_PATIENCE", 1.0)
    store.kill()
    config = container(sandbox, tmp_path, "one", f"quota={store.url}")
    report = await harvester.run(config, sources=ONLY_IMS)
    assert report.exit_status == 75
    assert "quota store" in str(report)
    assert "canary" not in str(report)


async def test_a_url_that_cannot_be_used_is_found_before_anything_is_made(sandbox: Sandbox, tmp_path: Path) -> None:
    config = container(sandbox, tmp_path, "one", "quota=http://:canary@store")
    with pytest.raises(ConfigError, match=r"^quota: ") as caught:
        await harvester.run(config, sources=ONLY_IMS)
    assert "canary" not in str(caught.value)
    assert not (tmp_path / "one").exists()


def journal_length(store: Store) -> int:
    """Requests that are on record in the store, of all credentials."""
    with redis.Redis.from_url(store.url) as client:
        return sum(
            kind in {b"open", b"ended", b"unheard"}
            for name in client.scan_iter(match="harvester:*:journal")
            for kind in (member.split(b"|")[2] for member in client.zrange(name, 1, -1))
        )


async def test_quota_shows_what_is_spent_of_the_store(sandbox: Sandbox, tmp_path: Path, store: Store) -> None:
    """Also in a container that has not sent anything yet."""
    hour = "sources.ims.budget={ windows = [{ requests = 100000, seconds = 3600 }] }"
    await harvester.run(container(sandbox, tmp_path, "one", f"quota={store.url}", hour), sources=ONLY_IMS)
    other = container(sandbox, tmp_path, "other", f"quota={store.url}", hour)
    (credential,) = (await asyncio.to_thread(quota, other, sources=ONLY_IMS)).credentials
    assert credential.elsewhere
    assert {window.seconds: window.used for window in credential.windows}[3600.0] == len(sandbox.log.of("ims"))


async def test_a_plan_sees_what_other_containers_have_spent(sandbox: Sandbox, tmp_path: Path, store: Store) -> None:
    hour = "sources.ims.budget={ windows = [{ requests = 100, seconds = 3600 }] }"
    one = container(sandbox, tmp_path, "one", f"quota={store.url}", hour, "max_wait=1", "sources.ims.page_size=3")
    assert (await harvester.run(one, sources=ONLY_IMS)).exit_status == 75
    # A finished run tells another container how many requests to expect; here it has a quota of its own.
    other = container(sandbox, tmp_path, "other", "sources.ims.budget={ windows = [] }")
    assert (await harvester.run(other, sources=ONLY_IMS)).exit_status == 0
    for path in (tmp_path / "other" / "_harvester").glob("quota*"):
        path.unlink()
    alone = container(sandbox, tmp_path, "other", hour)
    shared = container(sandbox, tmp_path, "other", hour, f"quota={store.url}")
    forecasts = [(await plan(each, sources=ONLY_IMS)).sources[0].forecast for each in (alone, shared)]
    assert forecasts[0].seconds < 60.0
    assert forecasts[1].seconds > 3000.0


async def test_forgetting_drops_limits_from_the_store_and_no_spending(
    sandbox: Sandbox, tmp_path: Path, store: Store
) -> None:
    day = "sources.centris.budget={ windows = [{ requests = 5000, seconds = 86400 }] }"
    config = container(sandbox, tmp_path, "one", f"quota={store.url}", day)
    assert (await harvester.run(config, sources=["centris"], resources=["Office"])).exit_status == 0
    with redis.Redis.from_url(store.url) as client:
        (journal,) = client.scan_iter(match="harvester:*:journal")
        limit = '{"name":"","seconds":7.0,"limit":3,"used":null,"remaining":null,"resets_in":null,"unit":"requests"}'
        client.zadd(journal, {f"900|aa|told|0|{9 * 10**14}|0|{limit}": 900})
    before, after = [
        (await asyncio.to_thread(quota, config, sources=["centris"], drop=drop)).credentials[0]
        for drop in (False, True)
    ]
    assert [answer.limit for answer in before.told] == [None, 3]
    assert [answer.remaining for answer in after.told] == [before.told[0].remaining]
    assert max(window.used for window in after.windows) == max(window.used for window in before.windows) > 0
