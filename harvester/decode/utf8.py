"""Is it UTF-8? msgspec checks everything else of a raw record, but not this (FAULTS D03)."""

from __future__ import annotations

import codecs

_STEP = 1 << 16  # decoded text of this size stays in the cache: half the time of decoding a page at once


def is_utf8(body: bytes | memoryview) -> bool:
    """True when *body* is valid UTF-8, whole characters from the first byte to the last."""
    view = memoryview(body)
    position, end = 0, len(view)
    try:
        while position < end:
            final = position + _STEP >= end
            position += codecs.utf_8_decode(view[position : position + _STEP], "strict", final)[1]
    except UnicodeDecodeError:
        return False
    return True
