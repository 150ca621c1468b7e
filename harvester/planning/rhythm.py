"""When a part of a source is harvested next, and how: by interval, by schedule, and more slowly after failures. Pure.

Durations are monotonic seconds; only what a calendar decides (sweeps, which outlive a restart) is reckoned in wall
time, and looked at again before each round, so that a clock that jumps (FAULTS C01) moves a sweep and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, time, timedelta

from msgspec import Struct

from harvester.model import Resource

NEVER = "never"
SOON = 30.0
"""Seconds after which what failed once is tried again: most failures pass quickly."""

RARELY = 3_600.0
"""Seconds between two tries of what keeps failing, unless its own interval is longer."""

_DAY = timedelta(days=1)
_SPREAD = 10.0  # seconds that rounds are moved by at most, so that not all of them begin at the same time
_SPREAD_SHARE = 0.05  # of the interval
_SWEEPS_APART = 12  # intervals at least between two tries of a sweep: deltas go on meanwhile


class Rhythm(Struct, frozen=True, kw_only=True):
    """How often a source is asked what changed, and when all its keys are listed."""

    every: float  # seconds from the beginning of a round to that of the next
    sweep_every: float | None = None  # seconds from the beginning of a sweep to the next; None: not by interval
    sweep_at: time | None = None  # of each day, UTC; None: not by the clock

    def sweep_due(self, swept: datetime, now: datetime) -> bool:
        """Whether keys that were all known at *swept* are to be listed again at *now* (both aware UTC)."""
        return self.until_sweep(swept, now) == 0.0

    def until_sweep(self, swept: datetime, now: datetime) -> float | None:
        """Seconds from *now* until the next sweep is due, 0: it is; None: none ever will be."""
        if self.sweep_every is not None:
            return max(0.0, self.sweep_every - (now - swept).total_seconds())
        if self.sweep_at is None:
            return None
        today = datetime.combine(now.astimezone(UTC).date(), self.sweep_at, UTC)
        last = today if today <= now else today - _DAY
        return 0.0 if swept < last else (last + _DAY - now).total_seconds()


class Ended(Struct, frozen=True, kw_only=True):
    """How a round went, as far as the next one depends on it."""

    took: float  # seconds
    whole: bool  # everything in it is complete
    failed: bool = False  # nothing in it came to an end
    full: bool = False  # something in it was read as a whole
    resumes_in: float | None = None  # seconds after which it makes sense to go on, if the failure told that


def next_in(rhythm: Rhythm, ended: Ended, failures: int) -> float:
    """Seconds from the end of a round to the beginning of the next one.

    A round that took longer than the interval is followed at once, by one: what it missed is not made up for. After a
    failure the next try is soon. When that fails too, what is incomplete is tried at its interval, what fails
    altogether more and more rarely, and what reads everything waits twice as long each time.

    Args:
        failures: rounds in a row that were not whole, this one included.
    """
    left = max(0.0, rhythm.every - ended.took)
    if ended.whole:
        return left
    wait = next_try_in(rhythm, failures) if ended.failed or failures <= 1 else left
    if ended.full and not ended.failed:
        # To read all of it again and again would take the quota from those who are whole.
        wait = max(wait, min(ended.took * 2.0 ** min(failures - 1, 20), max(RARELY, ended.took)))
    return wait if ended.resumes_in is None else max(wait, ended.resumes_in)


def next_try_in(rhythm: Rhythm, failures: int) -> float:
    """Seconds until a source that cannot be harvested at all is tried again; *failures* in a row."""
    if failures <= 1:
        return min(SOON, rhythm.every)
    return min(rhythm.every * 2.0 ** min(failures - 2, 20), max(RARELY, rhythm.every))


def next_sweep_try_in(rhythm: Rhythm) -> float:
    """Seconds until a sweep that failed or is incomplete is tried again."""
    return max(RARELY, _SWEEPS_APART * rhythm.every)


def spread(rhythm: Rhythm) -> float:
    """Seconds by which a round may be moved."""
    return min(_SPREAD, _SPREAD_SHARE * rhythm.every)


def parties_of(resources: Sequence[Resource]) -> tuple[tuple[str, ...], ...]:
    """Names of the resources that have to be harvested together, because one needs what another one brings.

    All others go by themselves: a resource that takes days does not keep the others of its source from being true.
    In the order of *resources*.
    """
    known = {resource.name for resource in resources}
    party = {resource.name: index for index, resource in enumerate(resources)}
    for resource in resources:
        for other in _needs(resource):
            if other in known:
                _join(party, resource.name, other)
    grouped: dict[int, list[str]] = {}
    for resource in resources:
        grouped.setdefault(party[resource.name], []).append(resource.name)
    return tuple(map(tuple, grouped.values()))


def _needs(resource: Resource) -> Iterator[str]:
    if resource.per_value is not None:
        yield resource.per_value.resource
    if resource.relation is not None:
        yield resource.relation.parent


def _join(party: dict[str, int], one: str, other: str) -> None:
    first, second = sorted((party[one], party[other]))
    for name, place in party.items():
        if place == second:
            party[name] = first


def parse_time(text: str) -> time | None:
    """``03:00`` as a time of day; None: ``never``.

    Raises:
        ValueError: it is neither.
    """
    return None if text == NEVER else time.fromisoformat(text)
