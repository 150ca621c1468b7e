"""Is it UTF-8? msgspec checks everything else of a raw record, but not this (FAULTS D03)."""

from __future__ import annotations

import codecs

# Text of this size stays in the cache, and most pieces of a page are ASCII throughout, which is seen ten times as
# fast as it is decoded.
_STEP = 1 << 13


def is_utf8(body: bytes | memoryview) -> bool:
    """True when *body* is valid UTF-8, whole characters from the first byte to the last."""
    data = bytes(body)  # no copy when it is bytes already
    if data.isascii():  # stops at the first character beyond; a page that has none is done at once
        return True
    position, end = 0, len(data)
    try:
        while position < end:
            piece = data[position : position + _STEP]
            if piece.isascii():
                position += _STEP
            else:
                position += codecs.utf_8_decode(piece, "strict", position + _STEP >= end)[1]
    except UnicodeDecodeError:
        return False
    return True
