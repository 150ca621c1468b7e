"""Bad records of an IDX Broker answer cut out of it, in every shape that holds several (FAULTS D03, D04, D05)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from harvester.decode.grammar import SPACE, STRING, descend, nested
from harvester.decode.rescue import Rescued, rescue, why_rejected
from harvester.model import Rejected


def rescue_shape(body: bytes) -> Rescued | None:
    """*body* without the records that are not strict JSON in UTF-8; None when it cannot be told apart into records."""
    if body.startswith(b"["):
        inside = rescue(b'{"value":%b}' % body, ("value",))
        return None if inside is None else Rescued(inside.body[len(b'{"value":') : -1], inside.rejected)
    found = _rescue_mapping(body, ()) or rescue(body, ("data",)) or _rescue_mapping(body, ("data",))
    if found is not None:
        return found
    wrapper = _WRAPPER.match(body)
    return rescue(body, (wrapper[1].decode(),)) if wrapper else None


def _rescue_mapping(body: bytes, path: Sequence[str]) -> Rescued | None:
    """The same for records in an object by key; *path* leads to that object."""
    start = _start(path).match(body)
    if start is None:
        return None
    good: list[bytes] = []
    bad: list[Rejected] = []
    position = start.end()
    while True:
        found = _ENTRY.match(body, position)
        if found is None:
            return None
        # A bad key spoils its record too: there is no other name for it.
        reason = why_rejected(found[1]) or why_rejected(found[2])
        if reason:
            bad.append(Rejected(found[2], reason))
        else:
            good.append(found[1] + b":" + found[2])
        position = found.end()
        if found[3] == b"}":
            break
    return Rescued(body[: start.end()] + b",".join(good) + body[position - 1 :], tuple(bad)) if bad else None


def _start(path: Sequence[str]) -> re.Pattern[bytes]:
    return re.compile(descend(path), re.DOTALL)


_RECORD = rb"((?=\{)" + nested(12) + rb")"
_ENTRY = re.compile(SPACE + rb"(" + STRING + rb")" + SPACE + rb":" + SPACE + _RECORD + SPACE + rb"([,}])", re.DOTALL)
_WRAPPER = re.compile(SPACE + rb"\{" + SPACE + rb'"([A-Za-z]++)"' + SPACE + rb":" + SPACE + rb"\[")
