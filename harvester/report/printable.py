"""Text from outside, made safe to show: no control character, no hidden direction mark, one line (FAULTS E06, E07)."""

from __future__ import annotations

import unicodedata

ELLIPSIS = "…"


def printable(text: str, limit: int | None = None) -> str:
    """*text* with every character that does not print as itself written as an escape (``\\x1b``, ``\\u202e``).

    Spaces of other widths (the no-break space of French prices) become plain spaces: they are harmless and common.

    Args:
        limit: longest result in characters; None: no limit. A cut text ends in an ellipsis.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escaped(char) for char in text)
    if limit is not None and len(text) > limit:
        return text[: max(0, limit - 1)] + ELLIPSIS
    return text


def _escaped(char: str) -> str:
    if unicodedata.category(char) == "Zs":
        return " "
    return ascii(char)[1:-1]
