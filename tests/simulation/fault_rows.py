"""The rows of the fault catalogue that a server can cause, and how the sandbox causes each.

A case says what happens, where, and what may come of it. Whatever it is: what says ``complete`` is the truth, what is
not complete says why and ends with another status than 0, and no row is there twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harvester.sandbox.faults import Match, Rule
from tests.simulation.contestants import Contestant


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault at one place."""

    row: str  # of the catalogue
    fault: str  # as the sandbox names it
    where: str = "once"  # once: on the third page; first: on the first; twice: pages 2 and 3; share; always
    beside: tuple[tuple[str, str], ...] = ()  # other faults that belong to the play, each with its place
    needs: str = ""  # links | keyset | dated | rows: what the contestant must have for this to mean anything
    truth: str = "same"  # same: nothing moves; moves: rows change; altered: the server shows rows that are not true
    # silent: a row changes without a sign, which only a reconcile can see: never claimed to be known

    @property
    def name(self) -> str:
        return f"{self.row}-{self.fault}-{self.where}"

    def fits(self, contestant: Contestant) -> bool:
        """Whether the fault can happen to *contestant*."""
        match self.needs:
            case "links":
                return contestant.links
            case "urls":
                return contestant.links and contestant.simulator != "spark"
            case "asks":
                return not contestant.links and contestant.dated
            case "dated":
                return contestant.dated
            case "pages":
                return contestant.dated or contestant.links
            case _:
                return True

    def rules(self, contestant: Contestant) -> list[Rule]:
        """The rules for the sandbox."""
        return [_rule(contestant, fault, where) for fault, where in ((self.fault, self.where), *self.beside)]


def _rule(contestant: Contestant, fault: str, where: str) -> Rule:
    provider, resource = contestant.simulator, contestant.path
    match where:
        case "first":
            return Rule(fault=fault, match=Match(provider=provider, resource=resource, nth=1))
        case "once":
            page = 1 if not contestant.dated and not contestant.links else contestant.page
            return Rule(fault=fault, match=Match(provider=provider, resource=resource, page=page), times=1)
        case "twice":
            return Rule(fault=fault, match=Match(provider=provider, resource=resource, page=2), times=2)
        case "share":
            return Rule(fault=fault, match=Match(provider=provider, resource=resource), p=0.3, times=1000)
        case "few":
            return Rule(fault=fault, match=Match(provider=provider, resource=resource), p=0.15, times=2)
        case _:
            return Rule(fault=fault, match=Match(provider=provider, resource=resource), times=1000)


def _page_cases() -> Iterator[Case]:
    """What a page says, and what becomes of the rows it shows."""
    yield Case(row="P01", fault="next:self", needs="links")
    yield Case(row="P02", fault="next:cycle,3", where="always", needs="links")
    yield Case(row="P02", fault="next:cycle,1", where="always", needs="links")
    yield Case(row="P03", fault="next:repeat", where="always", needs="links")
    yield Case(row="P04", fault="short:0.4", where="share", needs="pages")
    yield Case(row="P04", fault="short:0.4", needs="pages")
    yield Case(row="P04", fault="short:0.7", where="always", needs="pages")
    yield Case(row="P05", fault="next:empty", needs="links")
    yield Case(row="P05", fault="next:empty", where="share", needs="links")
    yield Case(row="P05", fault="next:empty", where="always", needs="links")
    yield Case(row="P06", fault="next:drop", needs="links")
    yield Case(row="P06", fault="next:drop", where="first", needs="links")
    for style in ("relative", "path", "escaped", "extra", "plus", "twice"):
        yield Case(row="P07", fault=f"next:style,{style}", where="always", needs="urls")
    yield Case(row="P08", fault="next:ttl,20", where="always", beside=(("429:ra=40", "once"),), needs="links")
    yield Case(row="P08", fault="next:ttl,0.01", where="always", beside=(("429:ra=40", "once"),), needs="links")
    yield Case(row="P09", fault="mutate:0.5", where="always", truth="moves")
    yield Case(row="P10", fault="dup:same", where="always")
    yield Case(row="P11", fault="dup:newer", where="share", needs="dated", truth="altered")
    yield Case(row="P11", fault="dup:older", where="share", needs="dated", truth="altered")
    yield Case(row="P12", fault="mutate:del", where="twice", truth="moves")
    yield Case(row="P12", fault="mutate:del", where="share", truth="moves")
    for count in ("wrong", "low", "absent", "negative", "string", "moves"):
        yield Case(row="P13", fault=f"count:{count}", where="always")
    for key in ("null", "missing", "number", "empty", "long"):
        yield Case(row="P14", fault=f"key:{key}", needs="dated", truth="altered")
    for option in ("orderby", "desc", "filter", "top"):
        yield Case(row="P15", fault=f"ignore:{option}", where="always")
    for option in ("orderby", "desc", "filter"):
        yield Case(row="P15", fault=f"ignore:{option}", where="once")
    yield Case(row="P16", fault="cap:more", where="always")
    yield Case(row="P16", fault="cap:top=3", where="always")
    yield Case(row="P16", fault="cap:20", where="always")
    yield Case(row="T01", fault="ties:65", where="first", needs="dated")
    yield Case(
        row="T01", fault="ties:65", where="first", beside=(("mutate:0.4", "always"),), needs="dated", truth="moves"
    )
    yield Case(row="T02", fault="late:120", where="share", truth="moves")
    yield Case(
        row="T03", fault="frac:7", where="first", beside=(("mutate:0.4", "always"),), needs="dated", truth="moves"
    )
    for spelling in ("future", "soon", "offset", "none", "lower", "leap", "24", "first", "last"):
        yield Case(
            row="T05" if spelling in ("future", "soon") else "T04",
            fault=f"ts:{spelling}",
            where="first",
            beside=(("mutate:0.4", "always"),),
            needs="dated",
            truth="moves",
        )
    for skew in (600, -600):
        yield Case(row="T06", fault=f"skew:{skew}", where="first", beside=(("mutate:0.4", "always"),), truth="moves")
        yield Case(row="T06", fault=f"skew:{skew}", beside=(("mutate:0.4", "always"),), truth="moves")
    yield Case(
        row="T07",
        fault="tz:America/Toronto",
        where="first",
        beside=(("mutate:0.4", "always"),),
        needs="dated",
        truth="moves",
    )
    yield Case(row="T08", fault="ts:same", needs="dated", truth="silent")
    yield Case(row="T08", fault="ts:back", needs="dated", truth="silent")
    yield Case(row="T12", fault="mutate:recreate", where="twice", needs="dated", truth="moves")


def _answer_cases() -> Iterator[Case]:
    """What happens to an answer, whatever it says."""
    for row, fault in (
        ("H01", "cut:len"),
        ("H02", "cut:chunk"),
        ("H03", "cut:valid_json"),
        ("H04", "cut:gzip"),
        ("H05", "cut:gzip_member"),
        ("H06", "gzip:crc"),
        ("H06", "gzip:tail"),
        ("H06", "gzip:plain"),
        ("H07", "enc:br"),
        ("H10", "smuggle:both"),
        ("H10", "smuggle:lengths"),
        ("H10", "smuggle:lf"),
        ("H11", "desync:other"),
        ("H11", "desync:page"),
        ("H12", "ctype:html"),
        ("H12", "ctype:utf16"),
        ("H12", "ctype:latin1"),
        ("H12", "ctype:xml"),
        ("H13", "empty:200"),
        ("H13", "empty:204"),
        ("S01", "status:503,1,4"),
        ("S01", "status:500"),
        ("S02", "status:521"),
        ("S02", "status:529"),
        ("S02", "status:599"),
        ("S03", "429:none"),
        *(("S04", f"429:ra={value}") for value in ("40", "-5", "1e9", "٣", "1_000", "", "34560000")),
        ("S05", "429:date_skew"),
        *(("S06", f"err200:{form}") for form in ("error", "success", "1550", "1500")),
        ("S07", "maint:200"),
        ("S07", "maint:503"),
        ("S08", "status:410"),
        ("S08", "status:409"),
        ("S08", "status:412"),
        ("S09", "status:400"),
        ("S10", "401:once"),
        ("S10", "401:badreq"),
        ("S11", "403"),
        ("S12", "404"),
        *(("S13", f"redirect:{place}") for place in ("same", "other", "port", "loop")),
    ):
        truth = "altered" if row == "H11" else "same"
        yield Case(row=row, fault=fault, truth=truth)
        if (
            fault == "empty:204"
        ):  # to some providers that is no fault when it lasts, but how they say that a set is empty
            yield Case(row=row, fault=fault, where="always", needs="dated")
            continue
        # A server that always answers another request is no accident of a connection, but another server.
        if (row[0] == "H" and row != "H11") or fault.partition(":")[0] in ("401", "403", "404", "redirect", "status"):
            yield Case(row=row, fault=fault, where="always", truth=truth)
        if row == "H03":
            yield Case(row=row, fault=fault, where="share")
            yield Case(row=row, fault=fault, where="first")
        if row == "H11":
            yield Case(row=row, fault=fault, where="few", truth=truth)


CASES = (*_page_cases(), *_answer_cases())

HEAVY = (
    Case(row="H08", fault="bomb:300"),
    Case(row="H09", fault="huge:150"),
)
"""These move hundreds of megabytes each."""
