"""How a server that is no particular provider's may differ, said in words that stand in its address.

``cap-100,ignores-filter`` is a server whose pages never hold more than 100 records, and that answers a ``$filter``
as if it were not there.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

from msgspec import Struct

from harvester.sandbox.told_quotas import Dialect

Links = Literal["token", "offset", "hidden", "page", "key", "none"]
Order = Literal["key", "time", "chance"]

OPTIONS = ("filter", "orderby", "top", "select", "count", "skip")
"""Query options that a server may ignore or refuse, without their ``$``."""

WORDS = (
    "plain",
    *(f"links-{each}" for each in get_args(Links)),
    *(f"order-{each}" for each in get_args(Order)),
    "ignores-<option>",
    "refuses-<option>",
    "fails-<option>",
    "cap-<records>",
    "top-max-<records>",
    "top-ends",
    "count-wrong",
    "churn-<requests>",
    "quota-<trestle|bridge|ietf|ratelimit>-<requests per minute>",
)
"""What ``parse`` understands; an option is one of ``OPTIONS``."""

_QUOTA = re.compile(r"quota-([a-z]+)-([1-9][0-9]{0,6})", re.ASCII)
_NUMBERED = re.compile(r"(cap|top-max|churn)-([1-9][0-9]{0,6})", re.ASCII)


class Oddities(Struct, frozen=True, kw_only=True):
    """One server. Without any oddity: key order, pages of 500, sealed tokens, every option honoured."""

    links: Links = "token"  # what a next link holds; hidden: an offset that looks like a token
    order: Order = "key"  # of rows without ``$orderby``; chance: another one each time
    cap: int = 500  # most records of a page, whatever is asked for
    top_max: int | None = None  # a larger ``$top`` is refused
    top_ends: bool = False  # an answer to ``$top`` has no link, also when records are left
    count_wrong: bool = False  # ``@odata.count`` tells seven more
    ignores: frozenset[str] = frozenset()
    refuses: frozenset[str] = frozenset()
    fails: frozenset[str] = frozenset()  # with status 500
    churn: int | None = None  # at every so-many-th page a row comes or goes
    quota: tuple[Dialect, int] | None = None  # how it is told, and the requests of a minute


def parse(text: str) -> Oddities:
    """Read words with commas between them. Raises ``ValueError`` that names the first one not known."""
    found: dict[str, object] = {}
    options: dict[str, set[str]] = {"ignores": set(), "refuses": set(), "fails": set()}
    for word in text.split(","):
        kind, _, value = word.partition("-")
        numbered = _NUMBERED.fullmatch(word)
        if numbered is not None:
            found[numbered[1].replace("-", "_")] = int(numbered[2])
        elif (quota := _QUOTA.fullmatch(word)) is not None and quota[1] in get_args(Dialect):
            found["quota"] = (quota[1], int(quota[2]))
        elif word in {"top-ends", "count-wrong"}:
            found[word.replace("-", "_")] = True
        elif (kind == "links" and value in get_args(Links)) or (kind == "order" and value in get_args(Order)):
            found[kind] = value
        elif kind in options and value in OPTIONS:
            options[kind].add(value)
        elif word != "plain":
            raise ValueError(f"no oddity {word!a}; there are {', '.join(WORDS)}; options are {', '.join(OPTIONS)}")
    found |= {name: frozenset(values) for name, values in options.items()}
    return Oddities(**found)  # type: ignore[arg-type]
