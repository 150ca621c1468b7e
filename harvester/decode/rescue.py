"""A page that does not decode: cut the bad records out, so that one of them does not cost the page.

Invalid escapes, lone surrogates (FAULTS D04), ``NaN`` and its kin (FAULTS D05), raw control characters and bytes
that are not UTF-8 (FAULTS D03) leave strings and brackets intact, so the records can still be told apart. A page
that is cut, or nested beyond all use (FAULTS D08), cannot be split and is refused by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from harvester.decode.grammar import SPACE, descend, member, nested, skip
from harvester.decode.utf8 import is_utf8
from harvester.model import Rejected


class Rescued(Struct, frozen=True):
    """A body without its bad records, and these."""

    body: bytes
    rejected: tuple[Rejected, ...]


def rescue(body: bytes, path: Sequence[str]) -> Rescued | None:
    """Cut the undecodable records out of the array at *path* of *body*.

    None when the array cannot be found or told apart into records, or when none of them is to blame. The body
    that is returned may still be wrong elsewhere: decode it.
    """
    start = _array(path).match(body)
    if start is None:
        return None
    good: list[bytes] = []
    bad: list[Rejected] = []
    position = start.end()
    while True:
        found = _ELEMENT.match(body, position)
        if found is None:
            return None
        record = found[1]
        reason = why_rejected(record)
        if reason:
            bad.append(Rejected(record, reason))
        else:
            good.append(record)
        position = found.end()
        if found[2] == b"]":
            break
    if not bad:
        return None
    return Rescued(body[: start.end()] + b",".join(good) + body[position - 1 :], tuple(bad))


def why_rejected(record: bytes) -> str:
    """Why *record* is not one strict JSON value in UTF-8; "" when it is."""
    if not is_utf8(record):
        return "not UTF-8"
    try:
        _check(record)
    except RecursionError:
        return "nested too deeply"
    except msgspec.DecodeError as error:
        return f"not JSON: {error}"
    return ""


_check = msgspec.json.Decoder(Raw).decode
_ELEMENT = re.compile(SPACE + rb"(" + nested(12) + rb")" + SPACE + rb"([,\]])", re.DOTALL)


def _array(path: Sequence[str]) -> re.Pattern[bytes]:
    *parents, name = path
    return re.compile(descend(parents) + skip([name]) + member(name) + rb"\[", re.DOTALL)
