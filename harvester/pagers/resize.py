"""The same position with a smaller page: the number in the URL changes, every other byte stays."""

from __future__ import annotations

import re

from msgspec.structs import replace

from harvester.model import PageRequest


def resized(request: PageRequest, size: int | None, *, parameter: str = "$top") -> PageRequest:
    """*request* for at most *size* records; None: half as many. Unchanged when it cannot get any smaller.

    Works on links of the provider too, which repeat the page size of the request they came from. A link that
    does not is opaque: its page cannot be made smaller.
    """
    found = _number(parameter).search(request.url)
    if found is None:
        return request
    asked = int(found[2])
    smaller = asked // 2 if size is None else size
    if not 1 <= smaller < asked:
        return request
    return replace(
        request, url=request.url[: found.start(2)] + str(smaller) + request.url[found.end(2) :], size=smaller
    )


def _number(parameter: str) -> re.Pattern[str]:
    name = re.escape(parameter).replace(r"\$", r"(?:\$|%24)")
    return re.compile(rf"([?&]{name}=)([0-9]{{1,9}})(?=&|$)", re.ASCII)
