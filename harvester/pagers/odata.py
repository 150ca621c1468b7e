"""Says a Walk in ``$filter``, ``$orderby``, ``$top`` and their kin, percent-encoded, in a provider's dialect."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from harvester.model import Walk


@dataclass(frozen=True, kw_only=True)
class ODataDialect:
    """How one provider wants filters and orders written."""

    scope: str | None = None  # member compared with ``walk.value`` in every filter (IMS OriginatingSystemName)
    quoted_times: bool = False  # True: '2024-01-01T00:00:00', zoneless (IMS); False: 2024-01-01T00:00:00Z
    ascending: str = ""  # written behind each member of $orderby: "" or " asc"

    def instant(self, text: str) -> str:
        """A timestamp literal. *text* keeps its fraction and its zone; without a zone it is UTC where Z is due."""
        if self.quoted_times:
            return self.text(text)
        return text if _ZONED.search(text) else f"{text}Z"

    def text(self, value: str) -> str:
        """A string literal: quotes inside are doubled (FAULTS M04)."""
        return "'" + value.replace("'", "''") + "'"

    def filter(self, walk: Walk, *conditions: str) -> str:
        """*conditions* and the user's own filter, joined with ``and``; the scope first. "" when there is none.

        The user's filter stands in parentheses: ``A and B or C`` would leave C without its scope.
        """
        parts = [f"{self.scope} eq {self.text(walk.value)}"] if self.scope and walk.value is not None else []
        parts += conditions
        if walk.filter:
            parts.append(f"({walk.filter})")
        return " and ".join(parts)

    def order(self, members: Iterable[str]) -> str:
        return ",".join(member + self.ascending for member in members)


_ZONED = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)$")


def selected(walk: Walk) -> str:
    """``$select``: the user's members, and those without which no head can be read; "" for all members."""
    if not walk.select:
        return ""
    needed = [*walk.resource.key, *([walk.resource.modified] if walk.resource.modified else [])]
    return ",".join(dict.fromkeys([*walk.select, *needed]))


def collection(walk: Walk) -> str:
    """Path of the walk's resource below the base URL, with the parent's value in its place (FAULTS M04)."""
    path = walk.resource.path or walk.resource.name
    return path.replace("{value}", quote((walk.value or "").replace("'", "''"), safe=""))


def with_query(path: str, parameters: Iterable[tuple[str, str]]) -> str:
    """*path* with those *parameters* that have a value. Names are sent as they are, values percent-encoded."""
    query = "&".join(f"{name}={quote(value, safe=':()')}" for name, value in parameters if value)
    return f"{path}?{query}" if query else path
