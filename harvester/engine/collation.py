"""Whether pages come in the order of their keys, in some sense in which a server may order text. Pure.

How a server compares text is not known: by code points, without regard to case or accents, without punctuation,
digits by their value. So a page is in order when one of these says so, forwards or backwards. Where none does, the
server does not keep to the order it was asked for (FAULTS P15), or orders in a way that nobody here can check; either
way nothing may be concluded from the place of a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from operator import ge, le
from typing import Any

from harvester.engine.spans import Key
from harvester.errors import OrderViolated

_DIGITS = re.compile(r"(\d+)")
_MARKS = re.compile(r"[\W_]+")

Rank = tuple[object, ...]


def _plain(text: str) -> Rank:
    return (text,)


def _folded(text: str) -> Rank:
    return (text.casefold(),)


def _loose(text: str) -> Rank:
    apart = unicodedata.normalize("NFKD", text.casefold())
    return ("".join(char for char in apart if not unicodedata.combining(char)).rstrip(),)


def _words(text: str) -> Rank:
    return (_MARKS.sub("", str(_loose(text)[0])),)


def _natural(text: str) -> Rank:
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in _DIGITS.split(text.casefold()) if part)


_SENSES: tuple[Callable[[str], Rank], ...] = (_plain, _natural, _folded, _loose, _words)
_Way = Callable[[Any, Any], bool]


class Collation:
    """The senses in which all pages so far were in order."""

    def __init__(self) -> None:
        ways: tuple[_Way, ...] = (le, ge)
        self._left = [(sense, way) for way in ways for sense in _SENSES]

    def check(self, keys: Sequence[Key]) -> Sequence[Key]:
        """*keys* of one page, without a stranger at either end: a row that a server repeats there (FAULTS P10).

        Raises:
            OrderViolated: they are in no order that pages before were in.
        """
        while self._left:
            found = _in_order(keys, *self._left[0])
            if found is not None:
                return found
            del self._left[0]
        raise OrderViolated("pages do not come in the order of their keys")

    def precedes(self, one: Key, other: Key) -> bool:
        """Whether *one* comes before *other*, in the sense in which pages have been in order."""
        sense, way = self._left[0]
        ranks = [key if sense is _plain else tuple(map(sense, key)) for key in (one, other)]
        return not way(ranks[1], ranks[0])


def _in_order(keys: Sequence[Key], sense: Callable[[str], Rank], way: _Way) -> Sequence[Key] | None:
    ranks: Sequence[object] = keys if sense is _plain else [tuple(map(sense, key)) for key in keys]
    if all(map(way, ranks, ranks[1:])):
        return keys
    for first, end in ((1, len(keys)), (0, len(keys) - 1), (1, len(keys) - 1)):
        if end - first > 2 and all(map(way, ranks[first : end - 1], ranks[first + 1 : end])):
            return keys[first:end]
    return None
