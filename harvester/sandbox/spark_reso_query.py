"""Query options of the Spark RESO surface: which a phase allows, and what they say.

Source: Spark RESO contract, sections 2 and 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode

from msgspec import Struct

from harvester.sandbox.odata import Order, parse_orderby, parse_select, whole_number
from harvester.sandbox.odata_expand import Expand, parse_expand
from harvester.sandbox.odata_filter import Condition, Instant, QueryError, comparisons, parse_filter
from harvester.sandbox.simulator import Ask

DEFAULT_TOP = 10
ORDINARY_TOP = 25
REPLICATION_TOP = 1000

_FULL = frozenset(("$top", "$count", "$select", "$skiptoken"))  # phases 1 and 3
_DELTA = _FULL | {"$filter", "$expand"}
_ALL = _DELTA | {"$orderby", "$skip"}
_FREE = ("$skiptoken", "$top", "$count")  # a token is not bound to these


class ResoQuery(Struct, frozen=True, kw_only=True):
    """One collection request as it is going to be answered."""

    top: int
    skip: int
    count: bool
    select: tuple[str, ...]
    condition: Condition | None
    order: tuple[Order, ...]
    expand: tuple[Expand, ...]
    token: str  # "": from the start


def read_query(
    ask: Ask, *, most: int, strict: bool, expand_in_full: bool, fields: frozenset[str], modified: str
) -> ResoQuery:
    """The options of *ask*.

    Args:
        most: largest ``$top`` of the key; more is refused, not cut.
        strict: only what the phase allows; a ``$filter`` makes it the delta phase.
        fields: members that exist.
    Raises:
        QueryError: anything that is answered with 400.
    """
    query = dict(ask.query)
    if len(query) != len(ask.query):
        raise QueryError("A query option is given twice")
    allowed = _ALL
    if strict:
        allowed = _DELTA if "$filter" in query else _FULL | ({"$expand"} if expand_in_full else set())
    for name in query:
        if name not in allowed:
            raise QueryError(f"The query option {name} is not allowed here")
    top = whole_number("$top", query.get("$top", str(DEFAULT_TOP)))
    if top > most:
        raise QueryError(f"$top must not exceed {most}")
    condition = parse_filter(query["$filter"]) if "$filter" in query else None
    for compare in comparisons(condition) if condition is not None else ():
        if compare.field not in fields:
            raise QueryError(f"Unknown field {compare.field} in $filter")
        if compare.field == modified and isinstance(compare.value, Instant) and compare.value.quoted:
            raise QueryError(f"{modified} is compared with text")
    select = parse_select(query["$select"]) if "$select" in query else ()
    for name in select:
        if name not in fields:
            raise QueryError(f"Unknown field {name} in $select")
    return ResoQuery(
        top=top,
        skip=whole_number("$skip", query.get("$skip", "0")),
        count=_flag(query),
        select=select,
        condition=condition,
        order=parse_orderby(query["$orderby"]) if "$orderby" in query else (),
        expand=parse_expand(query["$expand"]) if "$expand" in query else (),
        token=query.get("$skiptoken", ""),
    )


def _flag(query: Mapping[str, str]) -> bool:
    if query.get("$count", "false") not in ("true", "false"):
        raise QueryError("$count must be true or false")
    return query.get("$count") == "true"


def bound_query(ask: Ask) -> str:
    """What a token is bound to: the collection and every option but the page size, the count and the token."""
    return f"{ask.path}?{urlencode(sorted((name, value) for name, value in ask.query if name not in _FREE))}"


def next_link(ask: Ask, name: str, value: str) -> str:
    """The request of *ask* again, byte for byte, but with *value* for the option *name* that says where to go on."""
    kept = [part for part in ask.raw_query.split("&") if part and unquote(part.partition("=")[0]) != name]
    options = "&".join((*kept, f"{name}={quote(value, safe='')}"))
    return f"{ask.origin}/{ask.raw_path}?{options}"
