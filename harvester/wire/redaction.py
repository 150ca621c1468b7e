"""Text that may be shown: URLs without their secrets, server text without control characters; pure."""

from __future__ import annotations

import re
from urllib.parse import unquote_plus

# Masked wherever a URL is shown. Wide on purpose: a masked cursor costs a reader little, a shown key costs a lot.
_MASKED = re.compile(
    r"(access|refresh|id)?_?token|(api_?|access|ancillary|subscription-)?key|client_(id|secret)|secret|"
    r"pass(word|wd)|pwd|sig(nature)?|auth(orization)?|assertion|code|x-(amz|goog)-(signature|credential|security-token)",
    re.IGNORECASE,
)
# Removed from links before they are followed or stored (FAULTS E02). Narrow on purpose: ``token`` or ``key`` may be
# the cursor itself, and a link without its cursor would start again from the first page.
_STRIPPED = re.compile(
    r"(access|refresh|id)_token|api_?key|accesskey|ancillarykey|client_secret|password", re.IGNORECASE
)

_USER_INFO = re.compile(r"(//)[^/?#\s]*@")
_PAIR = re.compile(r"([?&;#])([^=&;#\s]+)=([^&;#\s]*)")
SHOWN = 300  # characters of foreign text that reach a message


def redact(url: str) -> str:
    """*url* fit for a message: user-info and secret query values masked, control characters escaped, length capped.

    Works on any text that holds URLs, also on malformed ones.
    """

    def mask(pair: re.Match[str]) -> str:
        return f"{pair[1]}{pair[2]}=***" if _MASKED.fullmatch(unquote_plus(pair[2])) else pair[0]

    return printable(_PAIR.sub(mask, _USER_INFO.sub(r"\1***@", url)))


def strip_secrets(url: str) -> str:
    """*url* without query parameters that can only be credentials; every other byte stays (FAULTS E02, P07)."""
    head, mark, query = url.partition("?")
    if not mark:
        return url
    pairs = query.split("&")
    kept = [pair for pair in pairs if not _STRIPPED.fullmatch(unquote_plus(pair.partition("=")[0]))]
    if len(kept) == len(pairs):
        return url
    return f"{head}?{'&'.join(kept)}" if kept else head


def printable(text: str, limit: int = SHOWN) -> str:
    """Foreign *text* as one harmless line: control, escape, bidirectional and unassigned characters become escapes.

    Nothing a server writes can move the cursor, start a new log line or turn text around (FAULTS E06, E07).
    More than *limit* characters are cut, with an ellipsis.
    """
    cut = text[:limit] + ("…" if len(text) > limit else "")
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
