"""Records become lines of NDJSON: one join a page, the provider's bytes between the line ends.

Only two things ever touch a record. A record that holds CR or LF between its tokens is compacted, because one
record is one line (FAULTS D01); every record is looked at, after the split, so one pretty-printed record among
thousands is found. And a stamp, members the provider does not send, is spliced in behind the opening brace.
U+2028 and its kin stay (FAULTS D02): lines end at LF and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import compress

import msgspec
from msgspec import Raw, Struct

_QUOTE = 0x22


class Lines(Struct, frozen=True):
    """A page as it goes into a shard."""

    data: bytes  # every row ended by LF; b"" when there is none
    rows: int
    compacted: int = 0  # rows that held CR or LF


def make_stamp(members: Iterable[tuple[str, object]]) -> bytes:
    """The opening of a record that carries *members*: ``{"OriginatingSystemName":"X",``; b"" without members."""
    inner = b",".join(msgspec.json.encode(name) + b":" + msgspec.json.encode(value) for name, value in members)
    return b"{" + inner + b"," if inner else b""


def put_stamp(stamp: bytes, record: Raw | bytes) -> bytes:
    """*record* with *stamp* in the place of its opening brace."""
    rest = bytes(record).lstrip()[1:]
    return stamp[:-1] + b"}" if rest.lstrip() == b"}" else stamp + rest


def one_line(records: Sequence[Raw], body: bytes) -> Sequence[Raw]:
    """*records* of *body* without line ends, each as its line will be: for comparing what comes with what is written.

    The records themselves, at the cost of two searches, when the whole page has none.
    """
    if b"\n" not in body and b"\r" not in body:
        return records
    flat = ((record, _flatten(record)) for record in records)
    return [record if line is None else Raw(line) for record, line in flat]


def join_lines(records: Sequence[Raw | bytes], stamp: bytes = b"", keep: Sequence[bool] | None = None) -> Lines:
    """Join *records*, each one valid JSON object, into lines.

    Args:
        stamp: from ``make_stamp``, for every row; b"": none.
        keep: one flag a record; None keeps all.
    """
    rows = list(records) if keep is None else list(compress(records, keep))
    if not rows:
        return Lines(b"", 0)
    data = _join(rows, stamp)
    compacted = 0
    if not _clean(data, len(rows)):
        flat = [_flatten(row) for row in rows]
        compacted = sum(new is not None for new in flat)
        data = _join([row if new is None else new for row, new in zip(rows, flat, strict=True)], stamp)
    return Lines(data, len(rows), compacted)


def _join(rows: Sequence[Raw | bytes], stamp: bytes) -> bytes:
    if not stamp:
        return b"\n".join((*rows, b""))
    views = [memoryview(row) for row in rows]
    if any(view[1] != _QUOTE for view in views):  # an empty object, or blanks behind a brace that may be one
        return b"\n".join((*(put_stamp(stamp, row) for row in rows), b""))
    # Views, not slices: the one copy of a record is the one into the joined page.
    rests: list[bytes | memoryview] = [view[1:] for view in views]
    rests[0] = stamp + rests[0]
    rests[-1] = bytes(rests[-1]) + b"\n"
    return (b"\n" + stamp).join(rests)


def _clean(data: bytes, rows: int) -> bool:
    """True when *data* holds no CR and exactly *rows* line ends."""
    if b"\r" in data:
        return False
    # find() runs at the speed of memchr; count() takes ten times as long.
    position = -1
    for _ in range(rows):
        position = data.find(b"\n", position + 1)
    return position == len(data) - 1


def _flatten(row: Raw | bytes) -> bytes | None:
    """*row* on one line; None when it is. Control characters are illegal in strings: these lie between tokens."""
    text = bytes(row)
    if b"\n" in text or b"\r" in text:
        return msgspec.json.format(text, indent=-1)
    return None
