"""Faults of the data itself: rows that share, lack or change their times, come late, go, and come back (FAULTS T01 to
T08, T12, P09, P12). They change the truth, so a replica is complete when it holds the rows as they are now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from harvester.sandbox.fault_kinds import Effect, Fault, Kind, Scene, always
from harvester.sandbox.records import Row
from harvester.sandbox.shelves import Shelf
from harvester.sandbox.simulator import Ask, resource_of
from harvester.sandbox.stamps import DAY, SECOND, instant_at, instant_of, stamp


def _shelves(scene: Scene) -> Sequence[Shelf]:
    """The tables the request reads, largest first; those without a modification time are left out."""
    resource = resource_of(scene.simulator, scene.ask.path)
    shelves = scene.simulator.shelves(resource) if resource is not None else ()
    return sorted(
        (shelf for shelf in shelves if shelf.modified is not None and len(shelf.table)),
        key=lambda shelf: -len(shelf.table),
    )


def _data_fault(change: Callable[[Scene, Shelf], None], *, p: float = 1.0) -> Fault:
    """*change* is made to the largest table of the resource before the request is answered."""

    def before(scene: Scene) -> Ask:
        for shelf in _shelves(scene)[:1]:
            change(scene, shelf)
        return scene.ask

    return Fault(effect=lambda _n, _rng: Effect(before=before), p=p)


def _any(scene: Scene, shelf: Shelf, count: int) -> list[Row]:
    rows = list(shelf.table)
    return scene.rng.sample(rows, min(count, len(rows)))


# ------------------------------------------------------------------ times


def _ties(arguments: str) -> Fault:
    count = int(arguments)
    if count < 2:
        raise ValueError("a tie has at least two rows")

    def change(scene: Scene, shelf: Shelf) -> None:
        rows = _any(scene, shelf, count)
        for row in rows:
            shelf.put_time(row, rows[0].modified or "", rows[0].instant)

    return _data_fault(change)


def _fraction(arguments: str) -> Fault:
    digits = int(arguments)
    if not 0 <= digits <= 9:
        raise ValueError("a fraction has up to nine digits")

    def change(scene: Scene, shelf: Shelf) -> None:
        for row in list(shelf.table):
            # Neighbours that differ in the last digit only, and one that is the longer's beginning.
            fraction = scene.rng.choice((123_456_700, 123_456_800, 123_457_000, 0))
            instant = row.instant // SECOND * SECOND + fraction // 10 ** (9 - digits) * 10 ** (9 - digits)
            shelf.put_time(row, stamp(instant, digits, zone=_zone(row)), instant)

    return _data_fault(change)


def _zone(row: Row) -> str:
    """How the provider ends its timestamps: with Z, or with nothing."""
    return "Z" if (row.modified or "Z")[-1] in "Zz" else ""


def _local(instant: int, zone: ZoneInfo) -> str:
    moment = datetime.fromtimestamp(instant // SECOND, UTC).astimezone(zone)
    return moment.isoformat(timespec="seconds")


_NO_DATE = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp()) * SECOND  # from here on there is none in every zone
_FEW = 3  # rows with an odd time: fewer than a page holds
_ODD = ("none", "lower", "leap", "24", "first", "last", "offset")


def _times(arguments: str) -> Fault:
    if arguments == "future":
        return _future(10 * 365 * 86_400)
    if arguments == "soon":
        return _future(3_600)
    if arguments in ("back", "same"):
        return _silent(back=arguments == "back")
    if arguments not in _ODD:
        raise ValueError(f"'{arguments}' is not known")

    def change(scene: Scene, shelf: Shelf) -> None:
        for row in _any(scene, shelf, _FEW):
            text, instant = _oddly(arguments, row)
            shelf.put_time(row, text, instant)

    return _data_fault(change)


def _oddly(how: str, row: Row) -> tuple[str, int]:
    """A timestamp of *row* in another spelling, and the instant it names."""
    instant = row.instant // SECOND * SECOND
    plain = stamp(instant, zone="")
    match how:
        case "none":
            return plain, instant
        case "lower":
            return f"{plain}z", instant
        case "leap":
            return "2016-12-31T23:59:60" + _zone(row), instant_of("2016-12-31T23:59:60Z") or 0
        case "24":
            return plain[:11] + "24:00:00" + _zone(row), instant - instant % DAY + DAY
        case "first":
            return "0001-01-01T00:00:00" + _zone(row), instant_of("0001-01-01T00:00:00Z") or 0
        case "last":
            return "9999-12-31T23:59:59" + _zone(row), instant_of("9999-12-31T23:59:59Z") or 0
        case _:
            return stamp(instant - 5 * 3600 * SECOND, zone="-05:00"), instant


def _zoned(arguments: str) -> Fault:
    try:
        zone = ZoneInfo(arguments)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ValueError(f"'{arguments}' is no time zone") from exc

    def change(scene: Scene, shelf: Shelf) -> None:
        # Around the night the clocks go back: one local hour comes twice, an hour of the year.
        night = int(datetime(2025, 11, 2, 5, 0, tzinfo=UTC).timestamp()) * SECOND
        for row in _any(scene, shelf, len(shelf.table)):
            instant = row.instant // SECOND * SECOND
            if scene.rng.random() < 0.5:
                instant = night + scene.rng.randrange(0, 7_200) * SECOND
            if instant >= _NO_DATE:  # another fault dated it so
                continue
            shelf.put_time(row, _local(instant, zone), instant)

    return _data_fault(change)


def _future(seconds: int) -> Fault:
    def change(scene: Scene, shelf: Shelf) -> None:
        instant = instant_at(scene.clock.now()) // SECOND * SECOND + seconds * SECOND
        for row in _any(scene, shelf, 1):
            shelf.put_time(row, stamp(instant, zone=_zone(row)), instant)

    return _data_fault(change)


def _silent(*, back: bool) -> Fault:
    """A row changes and its time does not, or goes back by a day."""

    def change(scene: Scene, shelf: Shelf) -> None:
        for row in _any(scene, shelf, 1):
            instant = row.instant - DAY if back else row.instant
            text = stamp(instant, zone=_zone(row)) if back else row.modified or ""
            shelf.put_time(row, text, instant, mark=f"changed {scene.rng.randrange(10**6)}")

    return _data_fault(change)


# ------------------------------------------------------------------ rows that come and go


def _late(arguments: str) -> Fault:
    seconds = float(arguments)
    if not 0 <= seconds < 86_400:
        raise ValueError("seconds are not negative")

    def before(scene: Scene) -> Ask:
        with scene.clock.shifted(-seconds):
            scene.simulator.mutate(1)
        return scene.ask

    return always(Effect(before=before))


def _skew(arguments: str) -> Fault:
    seconds = float(arguments)
    if abs(seconds) >= 86_400:
        raise ValueError("a clock is less than a day off")

    def before(scene: Scene) -> Ask:
        scene.clock.skew = seconds
        return scene.ask

    return always(Effect(before=before))


def _mutate(arguments: str) -> Fault:
    if arguments == "del":
        return _data_fault(_delete)
    if arguments == "recreate":
        return _recreate()
    p = float(arguments)
    if not 0 < p <= 1:
        raise ValueError("p lies from 0 to 1")

    def before(scene: Scene) -> Ask:
        scene.simulator.mutate(1)
        return scene.ask

    return Fault(effect=lambda _n, _rng: Effect(before=before), p=p)


def _delete(scene: Scene, shelf: Shelf) -> None:
    if len(shelf.table) > 1:
        for row in _any(scene, shelf, 1):
            shelf.table.remove(row.key)


def _recreate() -> Fault:
    """A row goes with one request and is back, changed, with the next."""
    gone: list[tuple[Shelf, Row]] = []

    def change(scene: Scene, shelf: Shelf) -> None:
        if gone:
            where, row = gone.pop()
            instant = instant_at(scene.clock.now()) // SECOND * SECOND
            where.put_time(row, stamp(instant, zone=_zone(row)), instant, mark=f"new {scene.rng.randrange(10**6)}")
        elif len(shelf.table) > 1:
            row = _any(scene, shelf, 1)[0]
            shelf.table.remove(row.key)
            gone.append((shelf, row))

    return _data_fault(change)


DATA_KINDS: dict[str, Kind] = {
    "mutate": Kind(usage="mutate:<p>|del|recreate", make=_mutate),
    "ties": Kind(usage="ties:<rows>", make=_ties, times=1),
    "late": Kind(usage="late:<seconds>", make=_late, times=1),
    "frac": Kind(usage="frac:<digits>", make=_fraction, times=1),
    "ts": Kind(usage=f"ts:{'|'.join(_ODD)}|future|soon|back|same", make=_times, times=1),
    "tz": Kind(usage="tz:<zone>", make=_zoned, times=1),
    "skew": Kind(usage="skew:<seconds>", make=_skew, times=1),
}
