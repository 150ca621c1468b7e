"""What a next link holds: an offset (plainly or in disguise), a page number, a key, or a token nobody can read. Pure.

A link that holds an offset is as unsafe as an offset that the client counts itself, whatever it looks like. So a
number is looked for in what a token decodes to, and taken for an offset where it is the number of records so far.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Iterator, Sequence
from enum import StrEnum
from urllib.parse import parse_qsl

from harvester.inquiry import Reply


class LinkForm(StrEnum):
    """What decides where a link leads."""

    OFFSET = "offset"
    PAGE = "page number"
    KEY = "key"
    TOKEN = "opaque token"  # noqa: S105 - no secret
    NONE = "none"  # there are more records, and no link to them
    UNKNOWN = "unknown"


_OFFSETS = frozenset({"$skip", "skip", "_skip", "offset", "_offset", "start", "startindex", "from"})
_PAGES = frozenset({"page", "_page", "$page", "pagenumber", "page_number", "pageno", "pageindex"})
_SIZES = frozenset({"$top", "top", "limit", "_limit", "pagesize", "page_size", "per_page", "maxpagesize"})
_NUMBERS = re.compile(rb"(?<![0-9])[0-9]{1,12}(?![0-9])")
_LEAST_TELLING = 10  # smaller numbers are in any token by chance


def form_of(first: Reply, following: Reply | None) -> tuple[LinkForm, str]:
    """What the link of *first* holds, and how that is seen.

    Args:
        following: the page behind that link; None: it was not asked for, or did not come.
    """
    if first.link is None:
        return LinkForm.UNKNOWN, ""
    parameters = list(_parameters(first.link.text, first.link.page_url))
    for name, value in parameters:
        if name.lower() in _OFFSETS and value.isdecimal():
            return LinkForm.OFFSET, f"{name}={value} after {first.rows} records"
        if name.lower() in _PAGES and value.isdecimal():
            return LinkForm.PAGE, f"{name}={value}"
    counts = _counts_on(first, following)
    last = next((key for key in reversed(first.keys) if key is not None), None)
    for name, value in parameters:
        shown = f"{name} of {len(value)} characters" if name else f"{len(value)} characters"
        meanings = list(_meanings(value))
        # A key that is the number of records, as in a table of 1, 2, 3 …, cannot be told from an offset.
        keyed = last is not None and last[0] != str(first.rows)
        if keyed and last is not None and any(last[0].encode() in meaning for meaning in meanings):
            return LinkForm.KEY, f"{shown} hold the last key of the page"
        if any(str(first.rows).encode() in _NUMBERS.findall(meaning) for meaning in meanings) and counts:
            return LinkForm.OFFSET, f"{shown} hold {first.rows}, the number of records before it"
    longest = max((len(value) for _, value in parameters), default=0)
    return LinkForm.TOKEN, f"{longest} characters that tell nothing"


def _counts_on(first: Reply, following: Reply | None) -> bool:
    """Whether the number of records so far is in the second link as well as in the first; with one link, whether it
    is too large to be there by chance."""
    if following is None or following.link is None or not following.answered:
        return first.rows >= 10 * _LEAST_TELLING
    so_far = str(first.rows + following.rows).encode()
    values = (value for _, value in _parameters(following.link.text, following.link.page_url))
    return first.rows >= _LEAST_TELLING and any(
        so_far in _NUMBERS.findall(meaning) for value in values for meaning in _meanings(value)
    )


def _parameters(link: str, page_url: str) -> Iterator[tuple[str, str]]:
    """What *link* has that the request of its page had not: names and values, decoded. A bare token has no name."""
    _, mark, query = link.partition("?")
    if not mark:
        yield "", link
        return
    own = set(_pairs(page_url.partition("?")[2]))
    yield from (pair for pair in _pairs(query) if pair not in own and pair[0].lower() not in _SIZES)


def _pairs(query: str) -> Sequence[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _meanings(value: str) -> Iterator[bytes]:
    """*value* as it is, and as what it decodes to where it is base64."""
    yield value.encode()
    padded = value.replace("-", "+").replace("_", "/").replace(" ", "+")
    padded += "=" * (-len(padded) % 4)
    try:
        yield b64decode(padded, validate=True)
    except (NotBase64, ValueError):
        return
