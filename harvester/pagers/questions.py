"""The questions of a probe in OData's words and in Spark's. Pure; what the answers mean is told in ``planning``."""

from __future__ import annotations

from dataclasses import dataclass, field

from harvester.inquiry import Inquiry
from harvester.model import PageRequest, Walk
from harvester.pagers.links import resolve, without_secrets
from harvester.pagers.odata import ODataDialect, collection, selected, with_query


@dataclass(frozen=True, kw_only=True)
class ODataQuestions:
    """``$filter``, ``$orderby``, ``$top``, ``$select`` and ``$count``, as the walks of the provider send them."""

    dialect: ODataDialect = field(default_factory=ODataDialect)
    counts: bool = True  # False: the provider has no ``$count`` (IMS contract, section 1)
    portions: bool = True  # False: it has no links either, so ``Prefer: odata.maxpagesize`` says nothing

    def ask(self, walk: Walk, inquiry: Inquiry) -> PageRequest | None:
        if inquiry.link is not None:
            return PageRequest(url=without_secrets(resolve(inquiry.link.page_url, inquiry.link.text)))
        if inquiry.portion is not None and not self.portions:
            return None
        query = (
            ("$filter", self.dialect.filter(walk, *self._conditions(walk, inquiry))),
            ("$orderby", self._order(walk, inquiry)),
            ("$select", ",".join(_heads(walk, inquiry)) if inquiry.heads_only else selected(walk)),
            ("$expand", "" if inquiry.heads_only else walk.expand or ""),
            ("$count", "true" if inquiry.count and self.counts else ""),
            ("$top", "" if inquiry.size is None else str(inquiry.size)),
            ("$skip", str(inquiry.skip) if inquiry.skip else ""),
        )
        prefer = () if inquiry.portion is None else (("Prefer", f"odata.maxpagesize={inquiry.portion}"),)
        return PageRequest(url=with_query(collection(walk), query), size=inquiry.size, headers=prefer)

    def _conditions(self, walk: Walk, inquiry: Inquiry) -> list[str]:
        resource = walk.resource
        if inquiry.since is not None:
            return [f"{resource.modified} ge {self.dialect.instant(inquiry.since)}"]
        if inquiry.key is not None and resource.key:
            literal = inquiry.key if inquiry.number else self.dialect.text(inquiry.key)
            return [f"{resource.key[0]} eq {literal}"]
        return []

    def _order(self, walk: Walk, inquiry: Inquiry) -> str:
        resource = walk.resource
        members = [*([resource.modified] if resource.modified and inquiry.dated else []), *resource.key]
        if inquiry.newest_first:
            return ",".join(f"{member} desc" for member in members)
        return self.dialect.order(members) if inquiry.oldest_first else ""


@dataclass(frozen=True, kw_only=True)
class SparkQuestions:
    """``_filter``, ``_orderby``, ``_limit`` and their kin. The chain begins with an empty ``_skiptoken``."""

    def ask(self, walk: Walk, inquiry: Inquiry) -> PageRequest | None:
        modified = (walk.resource.modified or "").rpartition(".")[2] if inquiry.dated else ""
        conditions = [f"{modified} Ge {inquiry.since}"] if inquiry.since is not None and modified else []
        conditions += [f"{walk.resource.key[0]} Eq '{inquiry.key}'"] if inquiry.key is not None else []
        conditions += [f"({walk.filter})"] if walk.filter else []
        ordered = modified or (walk.resource.key[0] if walk.resource.key else "")
        size = inquiry.size or inquiry.portion
        query = (
            ("_filter", " And ".join(conditions)),
            ("_orderby", f"-{ordered}" if inquiry.newest_first and ordered else ""),
            ("_select", ",".join(walk.select)),
            ("_pagination", "1" if inquiry.count else ""),
            ("_limit", "" if size is None else str(size)),
            ("_skiptoken", inquiry.link.text if inquiry.link is not None else ""),
        )
        url = with_query(collection(walk), query)
        if inquiry.link is None and not inquiry.newest_first:
            url += ("&" if "?" in url else "?") + "_skiptoken="
        return PageRequest(url=url, size=size)


def _heads(walk: Walk, inquiry: Inquiry) -> list[str]:
    """The identity members, then the modification time if records have one."""
    resource = walk.resource
    return [*resource.key, *([resource.modified] if resource.modified and inquiry.dated else [])]
