"""Real processes, one credential, one ledger, and SIGKILL: of them, and of the store they share."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.quota_stores import KINDS, Store, binary
from tests.governor.fleet import QUOTA, Fleet, measure, one_is_replaced

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="asks the kernel whether a process lives"),
    pytest.mark.slow,
]


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store | None]:
    """None: SQLite needs no server."""
    if request.param == "sqlite":
        yield None
        return
    if binary(request.param) is None:
        pytest.skip(f"there is no {request.param}-server on this machine")
    store = Store(request.param, tmp_path)
    store.start()
    yield store
    store.stop()


@pytest.mark.parametrize("store", ["sqlite", *KINDS], indirect=True)
async def test_four_processes_one_of_them_killed_and_restarted_use_both_windows_and_no_more(
    store: Store | None, tmp_path: Path
) -> None:
    """FAULTS Q08, Q09, R01."""
    where = store.url if store is not None else str(tmp_path / "quota.db")
    result = await measure(where, 10.0, meanwhile=one_is_replaced)
    assert all(most <= limit for most, (limit, _) in zip(result.most, QUOTA, strict=True)), result
    assert result.share >= 0.95, result


@pytest.mark.parametrize("store", KINDS, indirect=True)
async def test_while_the_store_is_gone_nothing_is_sent_too_much_and_then_it_goes_on(store: Store) -> None:
    """Fail closed: killed with requests on their way, back after two seconds with what it had written."""

    async def killed(fleet: Fleet) -> None:
        await asyncio.sleep(2.2)
        store.kill()
        await asyncio.sleep(2.0)
        store.start()

    result = await measure(store.url, 7.0, quota=((10, 0.5),), meanwhile=killed)
    assert result.most[0] <= 10, result
    assert 0.5 <= result.share <= 0.85, result  # it was silent, for nearly a third of the time, and no longer
