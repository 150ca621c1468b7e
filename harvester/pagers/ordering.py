"""Order values of records as text: which of two comes first, and which ones are equal.

Timestamps compare as instants, fractions of any length included, and are never rounded (FAULTS T03). Text is compared
by the server's collation, which is not known: only equality is asked here, and loosely, because many servers
take ``a1``, ``A1`` and ``á1`` for one value.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise


class Kind(StrEnum):
    """What an order member holds."""

    TIME = "time"
    NUMBER = "number"
    TEXT = "text"


def same(kind: Kind, left: str, right: str) -> bool:
    """Whether a server may take both for one value."""
    if left == right:
        return True
    if kind is Kind.TIME:
        instants = sortable(left), sortable(right)
        return instants[0] is not None and instants[0] == instants[1]
    return kind is Kind.TEXT and _loose(left) == _loose(right)


def descends(kind: Kind, values: Sequence[str]) -> bool:
    """True when *values* go down somewhere, so that they cannot come from an ascending order (FAULTS P15).

    The collation of text is not known: it goes down where every collation says so, or where it does so again and
    again. Timestamps that cannot be read say nothing (FAULTS T04).
    """
    if len(values) < 2:
        return False
    if kind is Kind.TEXT:
        return _text_descends(values)
    if kind is Kind.NUMBER:
        numbers = [int(value) for value in values if _WHOLE.fullmatch(value)]
        return any(later < earlier for earlier, later in pairwise(numbers))
    if list(values) == sorted(values) and len(set(map(len, values))) == 1 and not any(map(_OFFSET.search, values)):
        return False  # one form without offsets, as nearly always: the text is the order
    instants = [instant for instant in map(sortable, values) if instant is not None]
    return any(later < earlier for earlier, later in pairwise(instants))


def _text_descends(values: Sequence[str]) -> bool:
    if list(values) == sorted(values):
        return False
    pairs = list(pairwise(values))
    if any(_surely_below(later, earlier) for earlier, later in pairs):
        return True
    down = sum(_loose(later) < _loose(earlier) for earlier, later in pairs)
    return len(pairs) >= _ENOUGH_PAIRS and down > len(pairs) * _MOST_DOWN


def _surely_below(text: str, other: str) -> bool:
    """Whether *text* is before *other* in every collation: equally long, and what differs first is of one kind."""
    if len(text) != len(other) or not (text.isascii() and other.isascii() and text.isalnum() and other.isalnum()):
        return False
    mine, theirs = next(((a, b) for a, b in zip(text, other, strict=True) if a.lower() != b.lower()), ("", ""))
    return mine.isdigit() == theirs.isdigit() and mine.lower() < theirs.lower()


_ENOUGH_PAIRS = 8
_MOST_DOWN = 0.25  # of the pairs: numbers in names may be sorted as numbers, but no collation goes down so often


def sortable(text: str) -> str | None:
    """A timestamp as text whose order is that of the instants; without a zone it counts as UTC. None: unreadable."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    seconds, fraction, zone = found.groups()
    if zone and zone not in "Zz" and zone[1:].strip("0:"):
        shift = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        try:
            moment = datetime.fromisoformat(seconds)
            seconds = (moment - shift if zone[0] == "+" else moment + shift).isoformat()
        except (ValueError, OverflowError):
            return None
    return f"{seconds}.{(fraction or '').rstrip('0')}"


def zoned(text: str) -> bool:
    """Whether a timestamp tells its zone."""
    return text.endswith(("Z", "z")) or _OFFSET.search(text) is not None


_TIME = re.compile(r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d+))?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)
_OFFSET = re.compile(r"[+-]\d\d:?\d\d$", re.ASCII)
_WHOLE = re.compile(r"-?[0-9]+", re.ASCII)


def _loose(text: str) -> str:
    """Without case, accents and trailing blanks."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if not unicodedata.combining(char)).rstrip()
