"""Next links, byte for byte: resolved against the page they came on, stripped of credentials, otherwise untouched.

Opaque tokens break when they are decoded and encoded again (FAULTS P07), so nothing here parses a URL into parts
and joins them anew. Whether the result may be asked at all is decided by the transport gate (FAULTS E01).
"""

from __future__ import annotations

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SECRET = re.compile(r"(?i)(access_?token|api_?key|access_?key|client_secret|authorization)=")


def resolve(page_url: str, link: str) -> str:
    """The absolute URL of *link*, found on the page fetched from *page_url* (absolute itself).

    The forms of RFC 3986, section 4.2, without the removal of dot segments: a server that needs them gets them.
    """
    if _SCHEME.match(link):
        return link
    scheme, _, rest = page_url.partition("://")
    if link.startswith("//"):
        return f"{scheme}:{link}"
    authority, slash, path = rest.partition("/")
    if not slash:  # https://host?query
        authority, path = authority.partition("?")[0], ""
    path = path.partition("#")[0]
    if link.startswith("/"):
        return f"{scheme}://{authority}{link}"
    path = path.partition("?")[0]
    if link.startswith("?"):
        return f"{scheme}://{authority}/{path}{link}"
    return f"{scheme}://{authority}/{path[: path.rfind('/') + 1]}{link}"


def without_secrets(url: str) -> str:
    """*url* without query parameters that hold credentials, which would end up in the commits (FAULTS E02).

    The credential of the source travels in a header. The other parameters keep their bytes and their order.
    """
    head, mark, query = url.partition("?")
    if not mark or not _SECRET.search(query):
        return url
    kept = "&".join(part for part in query.split("&") if not _SECRET.match(part))
    return f"{head}?{kept}" if kept else head
