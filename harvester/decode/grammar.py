"""JSON as byte patterns: enough to step over whole values of a text that is known to be JSON, or nearly so.

Everything is possessive: what has been stepped over is never tried again in another way, so a pattern that does
not match fails after one pass, however long the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

SPACE = rb"[ \t\r\n]*+"
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
LITERAL = rb"[-+.0-9A-Za-z]++"  # numbers, true, false, null; also NaN and its kin
NAME = rb'"[^"\\]*+"'  # a name with an escape could spell a wanted one in disguise: it stops the pattern


def nested(depth: int) -> bytes:
    """One object or array of at most *depth* levels. Needs balanced brackets, and trusts their kinds."""
    inner = rb'[^\[\]{}"]++|' + STRING
    if depth > 1:
        inner += rb"|" + nested(depth - 1)
    return rb"[\[{](?:" + inner + rb")*+[\]}]"


VALUE = rb"(?:" + STRING + rb"|" + LITERAL + rb"|" + nested(5) + rb")"


def member(name: str) -> bytes:
    """The name *name* and its colon."""
    return re.escape(json.dumps(name).encode()) + SPACE + rb":" + SPACE


def skip(names: Sequence[str]) -> bytes:
    """Whole members up to the first one that has one of *names*."""
    wanted = rb"|".join(re.escape(json.dumps(name).encode()) for name in names)
    return rb"(?:(?!" + wanted + rb")" + NAME + SPACE + rb":" + SPACE + VALUE + SPACE + rb"," + SPACE + rb")*+"


def descend(path: Sequence[str]) -> bytes:
    """From the opening brace of an object to the first member of the object at *path* inside it."""
    return SPACE + rb"\{" + SPACE + b"".join(skip([step]) + member(step) + rb"\{" + SPACE for step in path)
