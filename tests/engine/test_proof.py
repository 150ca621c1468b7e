"""``--prove``: the provider's keys are listed after everything was read, and what is missing is fetched again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.parse import parse_qs, urlsplit

import anyio
import msgspec
import pytest

from harvester.errors import ConnectionFailed, ResourceRefused, StorageError
from harvester.events import Compared
from harvester.model import PageRequest, Walk
from harvester.pagers.by_key import EntityByKey, FilterByKey
from harvester.provider import Provider
from harvester.store.files import DiskFs
from harvester.store.manifest import SweepEvidence
from tests.fakes.clock import SeededRng
from tests.fakes.lake_bench import Bench
from tests.fakes.lake_server import Row, failing_at, failing_on, listings
from tests.fakes.lakeside import PROVIDER

EVERY_KEY = [f"{i:06d}" for i in range(95)]
LATER = "2026-03-01T12:00:00Z"
KEYS = "$select=ListingKey,ModificationTimestamp"  # what a listing asks for


def asks_for_keys(url: str) -> bool:
    return "$select" in url


def asks_by_key(url: str) -> bool:
    return " eq " in url.replace("%20", " ") or "('" in url


def rigged(out: Path, *keys: str, rows: int = 95, provider: Provider | None = None) -> Bench:
    """A harvest whose walk and closing delta never see *keys*; listings and questions by key do."""
    bench = Bench(out, {"Property": listings(rows)})
    bench.provider = provider or replace(PROVIDER, fetchers={"by_filter": FilterByKey(), "by_entity": EntityByKey()})
    bench.prove = True
    bench.server.hidden = lambda url: () if asks_for_keys(url) or asks_by_key(url) else keys
    return bench


def sweep(bench: Bench) -> SweepEvidence:
    evidence = bench.manifest("Property").sweep
    assert evidence is not None
    return evidence


async def test_rows_that_the_walk_missed_are_found_and_fetched(out: Path) -> None:
    bench = rigged(out, "000000", "000037", "000094")
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == EVERY_KEY
    evidence = sweep(bench)
    assert (evidence.missing, evidence.refetched, evidence.proven) == (3, 3, True)
    assert evidence.listed == bench.manifest("Property").keys
    assert {walk.id for walk in bench.manifest("Property").walks} == {"w00", "c00", "s00", "p00"}


async def test_without_being_asked_nothing_is_listed(out: Path) -> None:
    bench = rigged(out, "000037")
    bench.prove = False
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert not any(map(asks_for_keys, bench.server.asked))
    assert bench.manifest("Property").sweep is None


async def test_a_listing_asks_for_keys_and_times_only(out: Path) -> None:
    bench = rigged(out)
    await bench.run("Property")
    assert any(KEYS.replace(",", "%2C") in url for url in bench.server.asked)
    assert sweep(bench).times


@pytest.mark.parametrize(
    ("fetchers", "shows"),
    [
        ({"by_filter": FilterByKey()}, "eq%20"),
        ({"by_entity": EntityByKey()}, "Property('000037')"),
        ({}, ""),
    ],
)
async def test_every_way_to_a_record_brings_the_bytes_of_the_collection(
    out: Path, fetchers: dict[str, FilterByKey | EntityByKey], shows: str
) -> None:
    """The context that OData puts before a single record is no part of it."""
    bench = rigged(out, "000037", provider=replace(PROVIDER, fetchers=fetchers))
    asked = bench.server.asked
    bench.server.hidden = lambda url: (
        ("000037",) if not asks_for_keys(url) and not asks_by_key(url) and not any(map(asks_for_keys, asked)) else ()
    )
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == EVERY_KEY
    assert any(shows in url for url in asked)
    assert bench.lines("Property")[-1] == listings(95)[37] or bench.lines("Property")[0] == listings(95)[37]


async def test_a_way_that_the_server_does_not_take_is_followed_by_the_next(out: Path) -> None:
    """FAULTS P15, S09: a filter that is refused, or ignored."""
    bench = rigged(out, "000037")
    bench.server.before = failing_on("eq%20", ResourceRefused("400", status=400))
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == EVERY_KEY


async def test_a_filter_that_is_ignored_brings_nothing_in(out: Path) -> None:
    bench = rigged(out, "000037")
    bench.server.ignores_filter = True
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "complete", "the sweep stands in for the delta that could not be asked for"
    assert bench.keys("Property") == EVERY_KEY


async def test_a_row_that_is_listed_and_never_comes_is_a_gap(out: Path) -> None:
    """What was fetched again is compared again: asking is not having."""
    bench = rigged(out)
    bench.server.hidden = lambda url: () if asks_for_keys(url) else ("000037", "000038")
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "2 records are listed and cannot be read, keys from 000037 to 000038" in outcome.reason
    manifest = bench.manifest("Property")
    assert [(gap.missing, gap.first_key, gap.last_key) for gap in manifest.gaps] == [(2, ("000037",), ("000038",))]
    assert (sweep(bench).proven, sweep(bench).rounds, sweep(bench).refetched) == (False, 3, 0)


async def test_a_row_deleted_between_listing_and_fetch_is_no_gap(out: Path) -> None:
    """FAULTS P12: it does not come, and the next listing has it no more."""
    bench = rigged(out, "000037")
    rows = bench.server.tables["Property"]

    def delete_when_fetched(number: int, url: str) -> None:
        if asks_by_key(url):
            rows[:] = [row for row in rows if row["ListingKey"] != "000037"]

    bench.server.before = delete_when_fetched
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [key for key in EVERY_KEY if key != "000037"]
    assert sweep(bench).rounds == 2


async def test_keys_first_seen_after_the_sweep_began_are_exempt(out: Path) -> None:
    """FAULTS T11: what is fetched because of a listing, and not in it, is not gone."""
    bench = rigged(out, "000037", provider=PROVIDER)
    rows = bench.server.tables["Property"]
    repairing = False

    def before(number: int, url: str) -> None:
        nonlocal repairing
        if asks_for_keys(url) and "000089" in url:
            rows.append({"ListingKey": "000000-new", "ModificationTimestamp": LATER})
        repairing = repairing or (
            bool(number) and not asks_for_keys(url) and any("$select" in u for u in bench.server.asked[:-1])
        )

    bench.server.before = before
    bench.server.hidden = lambda url: () if asks_for_keys(url) or repairing else ("000037",)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert sorted(bench.keys("Property")) == sorted([*EVERY_KEY, "000000-new"])
    assert sweep(bench).gone == 0


async def test_an_update_without_a_new_time_is_not_seen_and_one_behind_the_delta_is(out: Path) -> None:
    """FAULTS T08: a time that went back is no time that the closing delta asks for."""
    bench = rigged(out)
    rows = bench.server.tables["Property"]

    def before(number: int, url: str) -> None:
        if number == 5:
            rows[3] = {**rows[3], "ModificationTimestamp": "2025-12-01T00:00:00Z", "Remarks": "older, and changed"}

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert "older, and changed" in [row["Remarks"] for row in bench.lines("Property")]
    assert (sweep(bench).differing, sweep(bench).refetched) == (1, 1)


# ------------------------------------------------------------------ listings that cannot be believed


async def test_a_listing_that_breaks_off_proves_nothing(out: Path) -> None:
    """FAULTS T10."""
    bench = rigged(out, "000090")
    bench.server.before = lambda number, url: (
        ResourceRefused("403", status=403) if asks_for_keys(url) and "000049" in url else None
    )
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "the listing of all keys broke off" in outcome.reason
    assert (sweep(bench).ended_by_itself, sweep(bench).proven) == (False, False)


@pytest.mark.parametrize("cut", [60, 90, 0])
async def test_a_listing_that_is_cut_and_looks_whole_proves_nothing(out: Path, cut: int) -> None:
    """FAULTS T10: rows that are held and not listed are asked for, and they are still there."""
    bench = rigged(out, "000093")
    bench.server.hidden = lambda url: EVERY_KEY[cut:] if asks_for_keys(url) else () if asks_by_key(url) else ("000093",)
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "leaves out records that are there" in outcome.reason
    assert sweep(bench).gone == 95 - cut - 1


async def test_where_records_cannot_be_asked_for_a_listing_that_lacks_a_fifth_is_not_believed(out: Path) -> None:
    """FAULTS T10: the mass-delete guard."""
    bench = rigged(out, provider=PROVIDER)
    bench.server.hidden = lambda url: EVERY_KEY[60:] if asks_for_keys(url) else ()
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "no more than 60 where 95 are held" in outcome.reason


async def test_rows_deleted_while_the_run_lasted_are_told_and_no_gap(out: Path) -> None:
    bench = rigged(out)
    rows = bench.server.tables["Property"]

    def before(number: int, url: str) -> None:
        if number == 9:
            del rows[10:14]

    bench.server.before = before
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert (sweep(bench).gone, sweep(bench).proven) == (4, True)


async def test_a_listing_of_which_a_record_has_no_key_proves_nothing(out: Path) -> None:
    """FAULTS P14."""
    bench = rigged(out)
    bench.server.body = lambda number, body: body.replace(b'"000050", "Mod', b'null, "Mod') if number > 11 else body
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "1 of the records that list the keys have none that can be used" in outcome.reason


# ------------------------------------------------------------------ counts


def counting(bench: Bench, number: int) -> None:
    """The provider claims *number* records whenever it is asked."""
    bench.count = lambda walk: PageRequest(url="Property?$count=true")
    bench.server.claim = lambda url: number if "$count" in url else None


def beyond(walk: Walk, number: int) -> PageRequest:
    return PageRequest(url=f"Property?$skip={number}&$top=1&$select=ListingKey")


async def test_a_count_that_is_too_large_is_refuted_when_nothing_lies_behind_what_is_listed(out: Path) -> None:
    """FAULTS P13: the count is told to be wrong, the verdict is complete."""
    bench = rigged(out, provider=replace(PROVIDER, beyond=beyond))
    counting(bench, 100)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert (sweep(bench).count_refuted, sweep(bench).proven) == (True, True)
    assert (bench.manifest("Property").count_before, bench.manifest("Property").gaps) == (100, ())


async def test_a_count_larger_than_the_listing_stays_a_gap_where_it_cannot_be_refuted(out: Path) -> None:
    """FAULTS P06: walk and listing may break off at the same place."""
    bench = rigged(out)
    counting(bench, 100)
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "counts 100 records and lists 95" in outcome.reason


async def test_a_listing_that_breaks_off_where_the_walk_did_refutes_no_count(out: Path) -> None:
    """FAULTS P06: the server drops its link after the same page each time."""
    bench = rigged(out, provider=replace(PROVIDER, beyond=beyond))
    counting(bench, 95)
    bench.server.hidden = lambda url: EVERY_KEY[60:] if "$skip=" not in url else ()
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "counts 95 records and lists 60" in outcome.reason


async def test_a_count_that_is_too_small_changes_nothing(out: Path) -> None:
    """FAULTS P13."""
    bench = rigged(out, "000037")
    counting(bench, 7)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == EVERY_KEY


# ------------------------------------------------------------------ broken off


@pytest.mark.parametrize("number", [10, 11, 14, 18, 20, 21, 22, 23])
async def test_a_run_that_dies_while_it_is_proven_goes_on_there(out: Path, number: int) -> None:
    """FAULTS R01: in the listing or in what it made necessary; nothing is lost, fetched twice or written twice."""
    bench = rigged(out, "000001", "000037", "000093")
    bench.at_risk = 1
    bench.server.before = failing_at({number}, ConnectionFailed("died"))
    outcome = (await bench.run("Property"))["Property"]
    bench.prove = number < 12  # what was begun so is finished so
    before = len(bench.server.asked)
    if number < before and outcome.verdict == "failed":
        bench.server.before = lambda number, url: None
        assert (await bench.run("Property"))["Property"].verdict == "complete"
        assert before + len(bench.server.asked[before:]) <= 25
    assert bench.keys("Property") == EVERY_KEY
    if number > 11:
        assert sweep(bench).proven
        assert (sweep(bench).missing, sweep(bench).refetched) == (3, 3)
    assert not list(bench.runs("Property")[0].glob("listed-*"))


async def test_a_run_asked_to_stop_while_it_is_proven_goes_on_there(out: Path) -> None:
    """FAULTS R02."""
    bench = rigged(out, "000037")

    def stop(number: int, url: str) -> None:
        if asks_for_keys(url) and "000049" in url:
            bench.stop.set()

    bench.server.before = stop
    assert (await bench.run("Property"))["Property"].verdict == "interrupted"
    bench.server.before, bench.stop = lambda number, url: None, anyio.Event()
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == EVERY_KEY


# ------------------------------------------------------------------ offsets


def by_offset(out: Path, between: Callable[[int, str], None]) -> Bench:
    """A server whose links hold an offset, so that a deletion shifts a row past it (FAULTS P09)."""
    bench = rigged(out, provider=replace(PROVIDER, fetchers={"by_filter": FilterByKey()}))
    keyed = bench.server.answer

    def answer(url: str, number: int = -1) -> bytes:
        body = json.loads(keyed(url, number))
        if "@odata.nextLink" in body:
            skip = int(parse_qs(urlsplit(url).query).get("$skip", ["0"])[0]) + len(body["value"])
            query = urlsplit(url).query.partition("&$skip")[0]
            body["@odata.nextLink"] = f"Property?{query}&$skip={skip}"
        return json.dumps(body).encode()

    bench.server.answer = answer  # type: ignore[method-assign]
    bench.server.before = between
    return bench


async def test_a_row_shifted_past_an_offset_in_walk_and_listing_is_found_by_the_next_listing(out: Path) -> None:
    """FAULTS P09: both missed row 20. That rows left between the two shows that neither is whole."""
    rows: list[Row] = []

    def between(number: int, url: str) -> None:
        if number == 2:
            rows.remove(next(row for row in rows if row["ListingKey"] == "000003"))  # shifts 000020 past the walk
        if asks_for_keys(url) and "$skip=20" in url and any(row["ListingKey"] == "000004" for row in rows):
            rows.insert(0, {"ListingKey": "00000", "ModificationTimestamp": "2026-01-01T00:00:00Z"})
            rows.remove(next(row for row in rows if row["ListingKey"] == "000004"))
            rows.remove(next(row for row in rows if row["ListingKey"] == "00000"))

    bench = by_offset(out, between)
    rows = bench.server.tables["Property"]
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    alive = {row["ListingKey"] for row in rows}
    assert alive <= set(bench.keys("Property"))
    assert sweep(bench).rounds >= 2


async def test_rows_that_move_whenever_they_are_listed_by_offset_leave_the_run_unproven(out: Path) -> None:
    """FAULTS P09."""
    rows: list[Row] = []

    def between(number: int, url: str) -> None:
        if "$skip=40" in url:
            del rows[5]

    bench = by_offset(out, between)
    bench.provider = PROVIDER  # records cannot be asked for by key, so nobody can tell that 000043 is there
    rows = bench.server.tables["Property"]
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "pages are told by offsets here" in outcome.reason
    assert {row["ListingKey"] for row in rows} <= set(bench.keys("Property"))


async def test_offsets_over_rows_that_do_not_move_prove_at_once(out: Path) -> None:
    bench = by_offset(out, lambda number, url: None)
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert sweep(bench).rounds == 1


async def test_what_was_compared_is_told_while_it_runs(out: Path) -> None:
    bench = rigged(out, "000037")
    await bench.run("Property")
    told = [event for event in bench.events if isinstance(event, Compared)]
    assert [(event.round, event.listed, event.missing) for event in told] == [(1, 95, 1)]


async def test_records_without_a_key_that_came_in_pages_cannot_be_proven(out: Path) -> None:
    bench = rigged(out)
    resources = [msgspec.structs.replace(each, key=()) for each in PROVIDER.resources if each.name == "Property"]
    bench.provider = replace(PROVIDER, resources=tuple(resources))
    outcome = (await bench.run("Property"))["Property"]
    assert outcome.verdict == "incomplete"
    assert "have no key" in outcome.reason


async def test_records_without_a_key_that_came_in_one_answer_are_whole(out: Path) -> None:
    """A snapshot is the set: there is no page that could be missing."""
    bench = rigged(out, rows=9)
    resources = [
        msgspec.structs.replace(each, key=(), modified=None) for each in PROVIDER.resources if each.name == "Property"
    ]
    bench.provider = replace(PROVIDER, resources=tuple(resources))
    assert (await bench.run("Property"))["Property"].verdict == "complete"


async def test_a_listing_killed_after_its_shards_were_removed_is_made_anew(out: Path) -> None:
    """FAULTS R01: between the removal of what was listed and the manifest."""
    bench = rigged(out, "000037")
    bench.fs.create_if_absent = _refuse_manifest(bench.fs.create_if_absent)  # type: ignore[assignment, method-assign]
    assert (await bench.run("Property"))["Property"].verdict == "failed"
    assert not list(bench.runs("Property")[0].glob("listed-*"))
    bench.fs = DiskFs(SeededRng(2))
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == EVERY_KEY
    assert sweep(bench).proven


def _refuse_manifest(create: Callable[[PurePath, bytes], bool]) -> Callable[[PurePath, bytes], bool]:
    def refusing(path: PurePath, data: bytes) -> bool:
        if path.name == "_manifest.json":
            raise StorageError("no space left")
        return create(path, data)

    return refusing


async def test_a_record_that_is_gone_does_not_keep_the_next_one_from_being_asked_for(out: Path) -> None:
    """FAULTS P12, S12: 404 on a key is an answer; the others come by key, and nothing is read anew."""
    bench = rigged(out, "000037", "000050", provider=replace(PROVIDER, fetchers={"by_entity": EntityByKey()}))
    rows = bench.server.tables["Property"]

    def delete_when_fetched(number: int, url: str) -> None:
        if "('" in url:
            rows[:] = [row for row in rows if row["ListingKey"] != "000037"]

    bench.server.before = delete_when_fetched
    assert (await bench.run("Property"))["Property"].verdict == "complete"
    assert bench.keys("Property") == [key for key in EVERY_KEY if key != "000037"]
    assert sorted(url.rpartition("/")[2] for url in bench.server.asked if "('" in url) == [
        "Property('000037')",
        "Property('000050')",
    ]


async def test_tables_that_a_dead_process_left_are_cleared_away(out: Path) -> None:
    """A listing of ten million keys takes half a gigabyte."""
    bench = Bench(out, {"Property": listings(5)})
    seen = out / "_harvester" / "seen"
    seen.mkdir(parents=True)
    for name in ("lake.Property.held", "lake.Property.listed-s", "lake.Office.held", "lake.Property.notes"):
        (seen / name).write_bytes(b"left")
    await bench.run("Property")
    assert sorted(path.name for path in seen.iterdir()) == ["lake.Office.held", "lake.Property.notes"]
