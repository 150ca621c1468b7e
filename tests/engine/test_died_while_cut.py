"""A run that died while it cut a walk: the parts are durable, the walk itself is not, and the count is of both."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.errors import StorageError
from harvester.model import Walk
from harvester.providers.odata import count
from harvester.store.commits import CommitLog
from tests.fakes.cut_bench import cut_bench, times


def _dying_at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    append = CommitLog.append

    def dying(log: CommitLog, *, walk: Walk, **fields: object) -> object:
        if walk.id == "w00":
            raise StorageError("the disk is full")
        return append(log, walk=walk, **fields)  # type: ignore[arg-type]

    monkeypatch.setattr(CommitLog, "append", dying)


@pytest.mark.parametrize("asked", [True, False], ids=["a question of its own", "pages that tell it"])
async def test_the_number_of_a_walk_that_died_while_it_was_cut_is_asked_for_again(
    out: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """FAULTS P06: its parts are counted with it, and it had no commit yet; its window alone is not all of them."""
    bench = cut_bench(out, times(400))
    bench.count, bench.at_risk = (count if asked else None), 25
    bench.provider = replace(bench.provider, closing=None)
    answer = bench.server.answer

    def hiding(url: str, number: int = -1) -> bytes:
        page = json.loads(answer(url, number))
        page["value"] = [row for row in page["value"] if row["ListingKey"] != "000350"]
        return json.dumps(page).encode()

    with monkeypatch.context() as patch:
        _dying_at_the_root(patch)
        assert (await bench.run("Property"))["Property"].verdict == "failed"
    monkeypatch.setattr(bench.server, "answer", hiding)
    outcome = (await bench.run("Property"))["Property"]
    assert (outcome.verdict, bench.manifest("Property").count_before) == ("incomplete", 400)
    assert "counts 400 records, 1 more than could be read" in outcome.reason


async def test_a_walk_that_nobody_counts_again_is_not_taken_for_whole(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read uncut, and says so: a number of its first window would be no number of the whole."""
    bench = cut_bench(out, times(400))
    bench.count, bench.at_risk = count, 25
    answer = bench.server.answer

    def silent(url: str, number: int = -1) -> bytes:
        return answer(url, number).replace(b"@odata.count", b"@odata.nothing")

    with monkeypatch.context() as patch:
        _dying_at_the_root(patch)
        await bench.run("Property")
    monkeypatch.setattr(bench.server, "answer", silent)
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert set(bench.keys("Property")) == {str(row["ListingKey"]) for row in times(400)}
