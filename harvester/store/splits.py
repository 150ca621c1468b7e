"""Quantiles of a run's keys and times: where the next run of the resource may be cut into parts of equal size.

They come from a sample that depends on the records only, not on their order: the records whose keys have the smallest
fingerprints. A wrong quantile makes parts unequal; it cannot lose a record.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from msgspec import Struct

MOST = 63  # quantiles kept
_SAMPLE = 1024  # records: the rank of a quantile is then right to about 1.5 % of all
_ALL = b"\xff" * 33  # beyond every fingerprint


class Splits(Struct, frozen=True, kw_only=True):
    """Quantiles of the records of one value of the parent, or of all. Text as the provider wrote it, sorted as text."""

    value: str | None = None  # of the parent resource; None: it has none
    records: int
    keys: tuple[str, ...] = ()  # of the first identity member
    times: tuple[str, ...] = ()  # of the modification time


class Sketch:
    """The sample. Costs a comparison a record, for nearly all of them."""

    def __init__(self) -> None:
        self.records = 0
        self._held: list[tuple[bytes, str, str | None]] = []
        self._limit = _ALL

    def add(self, prints: Sequence[bytes], keys: Sequence[tuple[str, ...] | None], times: Sequence[str | None]) -> None:
        """Take records with keys that were not met before: fingerprint, identity values and time of each."""
        self.records += len(prints)
        limit = self._limit
        # A comprehension, because it runs over every record and nearly all of them are above the limit.
        for place in [place for place, mark in enumerate(prints) if mark < limit]:
            if key := keys[place]:
                self._held.append((prints[place], key[0], times[place]))
        if len(self._held) > 2 * _SAMPLE:
            self._cut()

    def splits(self, value: str | None) -> Splits:
        """The quantiles of what was added so far."""
        self._cut()
        return Splits(
            value=value,
            records=self.records,
            keys=_quantiles(sorted(key for _, key, _ in self._held)),
            times=_quantiles(sorted(time for _, _, time in self._held if time is not None)),
        )

    def _cut(self) -> None:
        if len(self._held) > _SAMPLE:
            self._held.sort(key=lambda each: each[0])
            del self._held[_SAMPLE:]
            self._limit = self._held[-1][0]


class Sketches:
    """A sketch for each value of the parent resource; one in all where there is none."""

    def __init__(self) -> None:
        self._by_value: defaultdict[str | None, Sketch] = defaultdict(Sketch)

    def of(self, value: str | None) -> Sketch:
        return self._by_value[value]

    def splits(self) -> tuple[Splits, ...]:
        """For a manifest."""
        return tuple(sketch.splits(value) for value, sketch in self._by_value.items())


def _quantiles(values: Sequence[str]) -> tuple[str, ...]:
    """At most MOST of *values*, as far from each other as from the ends; each once."""
    number = min(MOST, len(values) - 1)
    return tuple(dict.fromkeys(values[(place + 1) * len(values) // (number + 1)] for place in range(number)))
