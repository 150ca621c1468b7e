"""Where the walks of a resource are cut into parts: at what the last run learned, else half way. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from harvester.model import Walk
from harvester.planning.closing import read_instant, write_instant
from harvester.planning.halfway import between_texts, between_times
from harvester.provider import Provider
from harvester.store.splits import Splits


def places(provider: Provider, walk: Walk, splits: Splits, parts: int, end: str | None) -> tuple[str, ...]:
    """Where to cut the whole of *walk* into *parts*, of equal size if the resource is still as it was.

    Fewer places, down to none, where the last run learned less. *end*: of the last part; None: open.
    """
    learned = _learned(provider, walk, splits)
    last = read_instant(end) if end is not None else None
    if _by_time(provider, walk) and last is not None:
        learned = tuple(text for text in learned if (at := read_instant(text)) is not None and at < last)
    number = min(parts - 1, len(learned))
    return tuple(dict.fromkeys(learned[(place + 1) * len(learned) // (number + 1)] for place in range(number)))


def place(
    provider: Provider, walk: Walk, reached: str, end: str | None, share: float, splits: Splits | None
) -> str | None:
    """Where to cut what is still to come of *walk*; None: nowhere.

    Args:
        reached: order value of the last record that came.
        end: of *walk*, or the last value there is; None: not known.
        share: of the way (0 to 1) at which to cut.
    """
    between = _between(provider, walk, reached, end, splits)
    if between:
        return between[min(len(between) - 1, round(share * len(between)))]
    if end is None:
        return None
    if _by_time(provider, walk):
        return between_times(reached, end, share, provider.timestamps)
    return between_texts(reached, end, share)


def rows_left(provider: Provider, walk: Walk, reached: str, end: str | None, splits: Splits) -> float:
    """About how many records of *walk* are still to come, as the last run tells."""
    share = (len(_between(provider, walk, reached, end, splits)) + 0.5) / (len(_learned(provider, walk, splits)) + 1)
    return splits.records * share


def _between(provider: Provider, walk: Walk, reached: str, end: str | None, splits: Splits | None) -> Sequence[str]:
    """What was learned that lies behind *reached* and before *end*."""
    learned = _learned(provider, walk, splits) if splits is not None else ()
    if not _by_time(provider, walk):
        return [text for text in learned if reached < text and (end is None or text < end)]
    low, high = read_instant(reached), read_instant(end) if end is not None else None
    if low is None:
        return ()
    instants = ((text, read_instant(text)) for text in learned)
    return [text for text, at in instants if at is not None and low < at and (high is None or at < high)]


def _learned(provider: Provider, walk: Walk, splits: Splits) -> tuple[str, ...]:
    """Quantiles as bounds: times to the second, so that a bound is never between two spellings of one instant."""
    if not _by_time(provider, walk):
        return splits.keys
    write = partial(write_instant, style=provider.timestamps)
    return tuple(dict.fromkeys(write(at) for text in splits.times if (at := read_instant(text)) is not None))


def _by_time(provider: Provider, walk: Walk) -> bool:
    return provider.cuts[walk.pager].by_time
