"""Parameters of Spark list requests, read and checked: limits of the key, what goes together, what a phase forbids.

Source: Spark API contract, sections 4 and 6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from harvester.sandbox.spark_related import EXPANSIONS
from harvester.sandbox.spark_shapes import Failure

DEFAULT_LIMIT = 10
ORDINARY_LIMIT = 25
REPLICATION_LIMITS = {"listings": 1000, "accounts": 1000}
REPLICATION_LIMIT = 200  # other resources

_MOST_PAGES = 100_000
_MOST_SKIPPED = 2_500_000
_KNOWN = frozenset(
    (
        "_limit",
        "_pagination",
        "_page",
        "_skip",
        "_skiptoken",
        "_orderby",
        "_filter",
        "_select",
        "_expand",
        "_lat",
        "_lon",
    )
)
_FULL_PHASE = frozenset(("_skiptoken", "_select", "_limit", "_pagination"))
_CUSTOM = frozenset(("CustomFields", "CustomFieldsRaw", "CustomFieldsExpanded", "CustomFieldsExpandedRaw"))
_MADE = frozenset((*EXPANSIONS, "PrimaryPhoto"))
_ACCEPTED = frozenset(
    (
        *("CumulativeDaysOnMarket", "DaysOnMarket", "FloorPlans", "ListAgentPhoto", "ListOfficePhoto", "NotesCount"),
        *("RentalCalendar", "RoomsRaw", "StarRating", "Supplement", "UnitsRaw", "UserInterfaceDisplay"),
    )
)
"""Expansions that are understood and add nothing: the market has nothing of the kind."""


class ListQuery(Struct, frozen=True, kw_only=True):
    """A list request as it is going to be answered."""

    limit: int
    page: int | None  # from 1; None: not paged by number
    skip: int | None
    token: str | None  # "": the chain begins; None: no chain
    filter: str
    orderby: tuple[str, ...]  # ``+Field`` or ``-Field``
    select: tuple[str, ...]
    expand: tuple[str, ...]  # sets to put into StandardFields, ``PrimaryPhoto`` among them
    counted: bool  # the Pagination block is wanted
    bare: bool  # and nothing else


def read_list_query(pairs: Sequence[tuple[str, str]], *, most: int, strict: bool, expand_in_full: bool) -> ListQuery:
    """The parameters of one list request.

    Args:
        most: largest ``_limit`` of the key for this resource.
        strict: a replication chain takes only the parameters that its phase allows.
        expand_in_full: ``_expand`` is allowed in a chain as well.
    Raises:
        Failure: 1040 for a value that cannot be used, 1053 for a parameter the phase forbids.
    """
    query = dict(pairs)
    if len(query) != len(pairs):
        raise Failure(1040, "A parameter is given twice")
    unknown = sorted(name for name in query if name.startswith("_") and name not in _KNOWN)
    if unknown:
        raise Failure(1040, f"Unknown parameter {unknown[0]}")
    token = query.get("_skiptoken")
    if token is not None and strict:
        _check_phase(query, expand_in_full=expand_in_full)
    if token is not None and ("_page" in query or "_skip" in query):
        raise Failure(1040, "_skiptoken does not go with _page or _skip")
    pagination = query.get("_pagination", "0")
    if pagination not in ("0", "1", "count"):
        raise Failure(1040, "_pagination must be 0, 1 or count")
    return ListQuery(
        limit=_number(query, "_limit", DEFAULT_LIMIT, 0, most),
        page=None if token is not None or "_skip" in query else _number(query, "_page", 1, 1, _MOST_PAGES),
        skip=_number(query, "_skip", 0, 0, _MOST_SKIPPED) if "_skip" in query else None,
        token=token,
        filter=query.get("_filter", ""),
        orderby=_orderby(query.get("_orderby", "")),
        select=_names(query.get("_select", "")),
        expand=_expansions(query.get("_expand", "")),
        counted=pagination != "0",
        bare=pagination == "count",
    )


def _check_phase(query: Mapping[str, str], *, expand_in_full: bool) -> None:
    """A chain without a filter is a full download or a sweep; with a filter it is a delta."""
    allowed = _FULL_PHASE | ({"_filter"} if "_filter" in query else set()) | ({"_expand"} if expand_in_full else set())
    for name in query:
        if name not in allowed:
            raise Failure(1053, f"{name} is not allowed with _skiptoken for replication")


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= most):
        raise Failure(1040, f"{name} must be a whole number from {least} to {most}")
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(","))) if text else ()
    if not all(names):
        raise Failure(1040, "A name in the list is empty")
    return names


def _orderby(text: str) -> tuple[str, ...]:
    # A plus that was not escaped arrives as a blank; both ask for ascending order, and so does no sign.
    return tuple(f"{name[0]}{name[1:]}" if name[0] in "+-" else f"+{name}" for name in _names(text))


def _expansions(text: str) -> tuple[str, ...]:
    names = _names(text)
    known = _MADE | _CUSTOM | _ACCEPTED
    for name in names:
        if name not in known:
            raise Failure(1040, f"Unknown expansion {name}")
    if len(_CUSTOM.intersection(names)) > 1:
        raise Failure(1040, "Only one of the custom field expansions may be used")
    if {"Photos", "PrimaryPhoto"} <= set(names):
        raise Failure(1040, "Photos and PrimaryPhoto exclude each other")
    return tuple(name for name in names if name in _MADE)
