"""Deltas start at the last success, less the overlap, and never skip what a failed run left unread."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import compress
from random import Random

import pytest
from msgspec import structs

from harvester.model import Phase, Walk
from harvester.planning.closing import read_instant
from harvester.planning.delta import delta_walks, essential, standing_of
from harvester.planning.plan import Wanted, full_walks
from harvester.providers import load
from harvester.store.manifest import Manifest, WalkEvidence

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def evidence(
    name: str, anchor: str | None, *, value: str | None = None, watermark: str | None = None, phase: Phase | None = None
) -> WalkEvidence:
    return WalkEvidence(
        id=name,
        phase=phase or {"w": Phase.FULL, "c": Phase.CLOSING, "n": Phase.DELTA}[name[0]],
        value=value,
        pager="chain",
        requests=1,
        records=0,
        duplicates=0,
        anchor=anchor,
        watermark=watermark,
    )


def run(name: str, *walks: WalkEvidence, mode: Phase = Phase.FULL, verdict: str = "complete") -> Manifest:
    return Manifest(
        run=name,
        source="lake",
        provider="lake",
        resource="Property",
        fingerprint="",
        mode=mode,
        verdict=verdict,
        records=0,
        bytes=0,
        requests=1,
        started=NOW,
        finished=NOW,
        keys=None,
        walks=walks,
        shards=(),
    )


def walk_of(name: str, resource: str, value: str | None = None) -> Walk:
    provider = load(name)
    found = next(each for each in provider.resources if each.name == resource)
    return full_walks(provider, Wanted(resource=found), None if value is None else [value], NOW)[0]


def test_without_a_complete_full_run_there_is_nothing_to_go_on_from() -> None:
    assert standing_of([]) is None
    assert standing_of([run("1", evidence("w00", "2026-01-01T00:00:00Z"), verdict="incomplete")]) is None
    assert standing_of([run("1", evidence("n00", "2026-01-01T00:00:00Z"), mode=Phase.DELTA)]) is None


def test_a_delta_goes_on_from_the_beginning_of_the_full_run_and_not_from_its_closing() -> None:
    """Rows that came while the closing delta was under way are met again, none is skipped."""
    standing = standing_of([run("1", evidence("w00", "2026-01-01T10:00:00Z"), evidence("c00", "2026-01-01T11:00:00Z"))])
    assert standing is not None
    assert standing.watermarks == {None: "2026-01-01T10:00:00Z"}


def test_the_earliest_of_several_walks_counts() -> None:
    standing = standing_of([run("1", evidence("w01", "2026-01-01T10:05:00Z"), evidence("w00", "2026-01-01T10:00:00Z"))])
    assert standing is not None
    assert standing.watermarks == {None: "2026-01-01T10:00:00Z"}


def test_a_complete_delta_moves_the_watermark_and_a_failed_one_does_not() -> None:
    """FAULTS T09."""
    first = run("1", evidence("w00", "2026-01-01T10:00:00Z"))
    second = run("2", evidence("n00", "2026-01-01T11:00:00Z"), mode=Phase.DELTA)
    broken = run("3", evidence("n00", "2026-01-01T12:00:00Z"), mode=Phase.DELTA, verdict="incomplete")
    standing = standing_of([first, second, broken])
    assert standing is not None
    assert (standing.run, standing.full) == ("2", "1")
    assert standing.watermarks == {None: "2026-01-01T11:00:00Z"}


def test_a_later_full_run_begins_anew() -> None:
    runs = [
        run("1", evidence("w00", "2026-01-01T10:00:00Z")),
        run("2", evidence("n00", "2026-01-03T10:00:00Z"), mode=Phase.DELTA),
        run("3", evidence("w00", "2026-01-02T10:00:00Z")),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert standing.watermarks == {None: "2026-01-02T10:00:00Z"}


def test_a_sweep_moves_no_watermark() -> None:
    runs = [
        run("1", evidence("w00", "2026-01-01T10:00:00Z")),
        run("2", evidence("w00", "2026-01-09T10:00:00Z", phase=Phase.SWEEP), mode=Phase.SWEEP),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert standing.watermarks == {None: "2026-01-01T10:00:00Z"}


def test_the_latest_value_received_moves_no_watermark() -> None:
    """FAULTS T05: it may be dated in the future, and every later change would be hidden by it."""
    runs = [
        run("1", evidence("w00", "2026-01-01T10:00:00", value="A"), evidence("w01", None, value="B")),
        run(
            "2",
            evidence("n00", None, value="A", watermark="2036-01-01T10:07:00"),
            evidence("n01", "2026-01-01T10:07:00", value="B"),
            mode=Phase.DELTA,
        ),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert standing.watermarks == {"A": "2026-01-01T10:00:00", "B": "2026-01-01T10:07:00"}


def test_a_clock_that_was_set_back_takes_the_watermark_with_it() -> None:
    """FAULTS T06: what changes now is stamped with times that lie before the last watermark."""
    runs = [
        run("1", evidence("w00", "2026-01-01T10:10:00Z")),
        run("2", evidence("n00", "2026-01-01T10:01:00Z"), mode=Phase.DELTA),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert standing.watermarks == {None: "2026-01-01T10:01:00Z"}


def test_a_value_met_first_by_a_delta_run_was_read_whole_and_goes_on_from_there() -> None:
    runs = [
        run("1", evidence("w00", "2026-01-01T10:00:00", value="A")),
        run("2", evidence("w01", "2026-01-02T10:00:00", value="B"), mode=Phase.DELTA),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert standing.watermarks == {"A": "2026-01-01T10:00:00", "B": "2026-01-02T10:00:00"}


@pytest.mark.parametrize(
    ("provider", "resource", "since"),
    [
        ("spark", "listings", "2026-01-01T09:40:00Z"),
        ("spark_reso", "Property", "2026-01-01T09:40:00Z"),
        ("centris", "Property", "2026-01-01T09:55:00Z"),
    ],
)
def test_each_provider_has_its_overlap(provider: str, resource: str, since: str) -> None:
    """Spark: 20 minutes for the server's caches; Centris: 5 for rows that are committed late (FAULTS T02)."""
    full = walk_of(provider, resource)
    walks = delta_walks(load(provider), [run("1", evidence("w00", "2026-01-01T10:00:00Z"))], [full])
    assert walks is not None
    (delta,) = walks
    assert (delta.since, delta.phase, delta.until) == (since, Phase.DELTA, None)
    assert (delta.id, delta.enough) == ("n00", full.enough)


def test_local_times_without_a_zone_are_read_again_by_an_hour_more() -> None:
    """FAULTS T07: the night the clocks go back, changes are stamped with times of an hour before."""
    runs = [run("1", evidence("w00", "2026-11-01T01:59:00", value="A"))]
    walks = delta_walks(load("ims"), runs, [walk_of("ims", "Property", "A")])
    assert walks is not None
    assert walks[0].since == "2026-11-01T00:54:00"


def test_a_scope_that_nothing_is_known_of_is_walked_whole() -> None:
    runs = [run("1", evidence("w00", "2026-01-01T10:00:00", value="A"))]
    known, new = walk_of("ims", "Property", "A"), walk_of("ims", "Property", "B")
    walks = delta_walks(load("ims"), runs, [known, new])
    assert walks is not None
    assert [walk.phase for walk in walks] == [Phase.DELTA, Phase.FULL]
    assert walks[1] == new


def test_what_cannot_be_asked_for_changes_is_read_whole_as_a_delta() -> None:
    """IDX Broker has no such question for listings; of Spark's open houses no modification time is told."""
    runs = [run("1", evidence("w00", "2026-01-01T10:00:00Z"))]
    for provider, resource in (("idx_broker", "clients/featured"), ("spark", "openhouses")):
        full = walk_of(provider, resource)
        walks = delta_walks(load(provider), runs, [full])
        assert walks is not None
        (walk,) = walks
        assert (walk.pager, walk.phase, walk.since) == (full.pager, Phase.DELTA, None)


def test_an_empty_beginning_means_that_everything_is_a_change() -> None:
    runs = [run("1", evidence("w00", None, value="A"))]
    walks = delta_walks(load("ims"), runs, [walk_of("ims", "Property", "A")])
    assert walks is not None
    assert walks[0].since == "0001-01-01T00:00:00"


def test_an_unreadable_watermark_never_moves_anything_on() -> None:
    """FAULTS T04."""
    runs = [
        run("1", evidence("w00", "2026-01-01T10:00:00Z")),
        run("2", evidence("n00", "zzz soon"), mode=Phase.DELTA),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert read_instant(standing.watermarks[None] or "") == datetime(2026, 1, 1, 10, tzinfo=UTC)


# ------------------------------------------------------------------ looking back


def lead_run(name: str, phase: Phase, anchor: str, until: str) -> Manifest:
    walk = structs.replace(evidence("w00" if phase is Phase.FULL else "n00", anchor), until=until)
    return run(name, walk, mode=phase)


def test_a_delta_of_leads_looks_back_to_the_last_success_less_an_hour() -> None:
    """IDX Broker contract, section 8."""
    full = lead_run("1", Phase.FULL, "2026-02-27T12:00:00Z", "2026-02-27 12:00:00")
    (walk,) = delta_walks(load("idx_broker"), [full], [walk_of("idx_broker", "leads/lead")]) or ()
    assert (walk.pager, walk.phase, walk.since) == ("windows", Phase.DELTA, "2026-02-27 11:00:00")
    assert walk.horizon is None
    assert walk.until == "2026-03-01 12:00:00"


def test_a_slow_clock_does_not_leave_a_gap_behind_the_last_look_back() -> None:
    """FAULTS T06, C01: what lies behind this machine's now was not asked for, whatever the server's time was."""
    full = lead_run("1", Phase.FULL, "2026-02-27T12:00:00Z", "2026-02-27 12:00:00")
    slow = lead_run("2", Phase.DELTA, "2026-02-28T12:00:00Z", "2026-02-28 09:00:00")
    (walk,) = delta_walks(load("idx_broker"), [full, slow], [walk_of("idx_broker", "leads/lead")]) or ()
    assert walk.since == "2026-02-28 08:00:00"


def test_a_clock_that_was_set_back_still_asks_for_a_window() -> None:
    """FAULTS C01."""
    full = lead_run("1", Phase.FULL, "2026-03-05T12:00:00Z", "2026-03-05 12:00:00")
    (walk,) = delta_walks(load("idx_broker"), [full], [walk_of("idx_broker", "leads/lead")]) or ()
    assert walk.since is not None
    assert walk.until is not None
    assert walk.since > walk.until
    request = load("idx_broker").pager(walk.pager).first(walk)
    assert request.url.startswith("leads/lead?interval=0.0167&startDatetime=2026-03-01+12:00:00")


# ------------------------------------------------------------------ which runs it takes to know


def _any_runs(chance: Random) -> list[Manifest]:
    found = []
    for number in range(chance.randint(1, 14)):
        mode = chance.choice((Phase.FULL, Phase.DELTA, Phase.DELTA, Phase.DELTA, Phase.SWEEP, Phase.PUSH))
        walks = []
        for value in ("a", "b", "c"):
            if chance.random() < 0.7:
                begins_whole = mode is Phase.FULL or chance.random() < 0.1
                anchor = chance.choice((None, "zzz", *(f"2026-01-{day:02d}T00:00:00Z" for day in range(1, 9))))
                walk = evidence(f"{'w' if begins_whole else 'n'}{value}", anchor, value=value)
                walks.append(structs.replace(walk, empty=not begins_whole and chance.random() < 0.5))
        verdict = chance.choice(("complete", "complete", "complete", "incomplete"))
        found.append(run(f"{number:02d}", *walks, mode=mode, verdict=verdict))
    return found


@pytest.mark.parametrize("seed", range(300))
def test_a_few_runs_tell_where_all_of_them_leave_the_replica(seed: int) -> None:
    """Also when they were picked out little by little, as runs were added."""
    chance = Random(seed)
    runs = _any_runs(chance)
    few: list[Manifest] = []
    for place, each in enumerate(runs):
        few.append(each)
        if chance.random() < 0.5:
            few = list(compress(few, essential(few)))
        one, other = standing_of(runs[: place + 1]), standing_of(few)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert (one.watermarks, one.full, one.run) == (other.watermarks, other.full, other.run)


def test_of_many_runs_two_tell_it() -> None:
    runs = [run("000", evidence("w00", "2026-01-01T00:00:00Z"))]
    runs += [
        run(f"{n:03d}", evidence("n00", f"2026-01-01T01:{n % 60:02d}:00Z"), mode=Phase.DELTA) for n in range(1, 400)
    ]
    assert [each.run for each in compress(runs, essential(runs))] == ["000", "399"]
    runs += [run("400", evidence("w00", "2026-01-02T00:00:00Z"))]
    assert [each.run for each in compress(runs, essential(runs))] == ["400"]


def empty(name: str, anchor: str) -> WalkEvidence:
    return structs.replace(evidence(name, anchor), empty=True)


def test_a_delta_that_brought_nothing_moves_the_watermark_no_later() -> None:
    """FAULTS H11: its empty page may be the answer to another request."""
    runs = [
        run("1", evidence("w00", "2026-01-01T10:00:00Z")),
        run("2", empty("n00", "2026-01-01T11:00:00Z"), mode=Phase.DELTA),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert standing.watermarks == {None: "2026-01-01T10:00:00Z"}


def test_a_clock_that_was_set_back_takes_the_watermark_with_it_although_nothing_came() -> None:
    """FAULTS T06; and such a delta is one that those after it rest on."""
    runs = [
        run("1", evidence("w00", "2026-01-01T10:00:00Z")),
        run("2", evidence("n00", "2026-01-01T12:00:00Z"), mode=Phase.DELTA),
        run("3", empty("n00", "2026-01-01T11:30:00Z"), mode=Phase.DELTA),
        run("4", empty("n00", "2026-01-01T12:30:00Z"), mode=Phase.DELTA),
        run("5", empty("n00", "2026-01-01T13:30:00Z"), mode=Phase.DELTA),
    ]
    standing = standing_of(runs)
    assert standing is not None
    assert standing.watermarks == {None: "2026-01-01T11:30:00Z"}
    assert essential(runs) == (True, True, True, False, True)
    few = standing_of(list(compress(runs, essential(runs))))
    assert few is not None
    assert few.watermarks == standing.watermarks
