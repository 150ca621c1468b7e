"""Faults of what a page says: links, rows, keys, counts, and options that the server ignores (FAULTS P01 to P16, H11).

A fault that needs more than one page to happen keeps its state in the rule: let the rule match them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from harvester.sandbox.fault_kinds import Effect, Fault, Kind, Scene, always, one_of
from harvester.sandbox.pages import PageBody, open_page
from harvester.sandbox.simulator import Answer, Ask, resource_of

Change = Callable[[Scene, PageBody], None]

_TIMED = ("$orderby", "_orderby")


def _page_fault(change: Change) -> Fault:
    """*change* is made to every page the fault meets; answers that are no pages stay as they are."""

    def after(scene: Scene, answer: Answer) -> Answer:
        page = open_page(answer.body) if answer.status == 200 else None
        if page is None:
            return answer
        change(scene, page)
        return msgspec.structs.replace(answer, body=page.render())

    return always(Effect(after=after))


# ------------------------------------------------------------------ links


def _place(ask: Ask) -> str:
    """The URL of a request."""
    return f"{ask.origin}/{ask.raw_path}" + (f"?{ask.raw_query}" if ask.raw_query else "")


def _token(ask: Ask) -> str:
    return next((value for name, value in ask.query if name in ("_skiptoken", "$skiptoken")), "")


def _back_to(scene: Scene, page: PageBody, ask: Ask) -> str:
    """A link of *page* to the request *ask*, under a name it never had."""
    return scene.detours.token(_token(ask)) if page.is_token else scene.detours.link(_place(ask))


def _itself(scene: Scene, page: PageBody) -> None:
    if not page.is_whole:
        page.link = _token(scene.ask) if page.is_token else _place(scene.ask)


def _cycle(arguments: str) -> Fault:
    length = int(arguments)
    if length < 1:
        raise ValueError("a cycle has at least one page")
    met: list[Ask] = []

    def change(scene: Scene, page: PageBody) -> None:
        met.append(scene.ask)
        if not page.is_whole and len(met) >= length:
            first = met[(len(met) - length) // length * length]
            # A token is a place, and comes back as it was; the first page of a token chain has none.
            known = page.is_token and not _token(first)
            page.link = _back_to(scene, page, first) if known else _token(first) if page.is_token else _place(first)

    return _page_fault(change)


def _repeat(scene_page: list[PageBody]) -> Change:
    """From the second page on the rows of the first one, under ever new links."""

    def change(scene: Scene, page: PageBody) -> None:
        if page.is_whole:
            return
        if not scene_page:
            scene_page.append(page)
            return
        page.records, page.names = list(scene_page[0].records), scene_page[0].names
        page.link = _back_to(scene, page, scene.ask)

    return change


def _emptied(scene: Scene, page: PageBody) -> None:
    if not page.is_whole:
        page.records, page.names = [], None
        page.link = _back_to(scene, page, scene.ask)


def _dropped(_scene: Scene, page: PageBody) -> None:
    page.link = None


def _styled(arguments: str) -> Fault:
    def change(scene: Scene, page: PageBody) -> None:
        if page.link is None or page.is_token:
            return
        link = scene.detours.link(page.link, exact=True, twice=arguments == "twice")
        _, _, rest = link.partition("://")
        path = rest[rest.index("/") :]
        match arguments:
            case "relative":
                page.link = path.partition("?")[0].rpartition("/")[2] + "?" + path.partition("?")[2]
            case "path":
                page.link = path
            case "escaped":
                head, _, query = page.link.partition("?")
                page.link = scene.detours.link(f"{head}?{query.replace('$', '%24')}", exact=True)
            case "plus":
                page.link = scene.detours.link(page.link.replace("%20", "+"), exact=True)
            case _:  # extra, twice
                page.link = link

    return _page_fault(change)


def _expiring(seconds: float) -> Fault:
    """Links die *seconds* after they were given; whoever follows one later gets 410, for good."""
    given: dict[str, float] = {}

    def before(scene: Scene) -> Ask | Answer:
        at = given.get(_token(scene.ask) or scene.ask.raw_query)
        if at is not None and scene.ask.elapsed - at > seconds:
            return Answer(status=410, body=b'{"error":"The cursor has expired"}')
        return scene.ask

    def after(scene: Scene, answer: Answer) -> Answer:
        page = open_page(answer.body) if answer.status == 200 else None
        if page is not None and page.link:
            name = page.link if page.is_token else page.link.partition("?")[2]
            token = next((value for key, value in parse_qsl(name) if key in ("_skiptoken", "$skiptoken")), "")
            given[token or name] = scene.ask.elapsed
        return answer

    return always(Effect(before=before, after=after))


def _next(arguments: str) -> Fault:
    name, _, more = arguments.partition(",")
    match name:
        case "self" if not more:
            return _page_fault(_itself)
        case "cycle":
            return _cycle(more or "3")
        case "repeat" if not more:
            return _page_fault(_repeat([]))
        case "empty" if not more:
            return _page_fault(_emptied)
        case "drop" if not more:
            return _page_fault(_dropped)
        case "style" if more in _STYLES:
            return _styled(more)
        case "ttl":
            return _expiring(float(more or 300))
    raise ValueError(f"'{arguments}' is not known")


_STYLES = ("relative", "path", "escaped", "extra", "plus", "twice")


# ------------------------------------------------------------------ rows


def _short(arguments: str) -> Fault:
    share = float(arguments)
    if not 0 < share < 1:
        raise ValueError("the share of a page lies between 0 and 1")

    def after(scene: Scene, answer: Answer) -> Answer:
        page = open_page(answer.body) if answer.status == 200 else None
        if page is None or page.is_whole or len(page.records) < 2:
            return answer
        kept = max(1, int(len(page.records) * share))
        if not any(name in _TIMED for name, _ in scene.ask.query):
            # Who follows links finds the rest behind one; who asks by value or offset asks for it anyway.
            rest = open_page(answer.body)
            if rest is None or rest.names is not None:
                return answer
            rest.records = rest.records[kept:]
            remainder = msgspec.structs.replace(answer, body=rest.render())
            detours = scene.detours
            page.link = (
                detours.token(_token(scene.ask), answer=remainder)
                if page.is_token
                else detours.link(_place(scene.ask), answer=remainder)
            )
        page.records = page.records[:kept]
        return msgspec.structs.replace(answer, body=page.render())

    return always(Effect(after=after))


def _twice(arguments: str) -> Fault:
    held: dict[str, bytes] = {}

    def same(scene: Scene, page: PageBody) -> None:
        if page.names is None and page.records:
            scope = _SCOPE.search(unquote(scene.ask.raw_query))
            walk = scope[0] if scope else ""
            last = page.records[-1]
            if walk in held:
                page.records.insert(0, held[walk])
            held[walk] = last

    def other(scene: Scene, page: PageBody) -> None:
        shelf = next(iter(scene.simulator.shelves(resource_of(scene.simulator, scene.ask.path) or "")), None)
        if shelf is None or shelf.modified is None or page.names is not None or len(page.records) < 2:
            return
        # The older version has the time of the page's first row, so that an order by time is kept.
        older = shelf.marked(page.records[-1], as_of=page.records[0])
        page.records.insert(0 if arguments == "newer" else len(page.records), older)

    return _page_fault(same if arguments == "same" else other)


def _count(arguments: str) -> Fault:
    times = 0

    def change(_scene: Scene, page: PageBody) -> None:
        nonlocal times
        times += 1
        if page.count is None:
            return
        number = page.count if isinstance(page.count, int) else 0
        page.count = {
            "absent": None,
            "wrong": number + 7,
            "low": number // 2,
            "negative": -1,
            "string": str(number),
            "moves": number + 3 * times,
        }[arguments]

    return _page_fault(change)


_KEYS = {"null": b"null", "number": None, "empty": b'""', "long": b'"' + b"k" * 10_240 + b'"', "missing": None}


def _key(arguments: str) -> Fault:
    def change(scene: Scene, page: PageBody) -> None:
        shelf = next(iter(scene.simulator.shelves(resource_of(scene.simulator, scene.ask.path) or "")), None)
        if shelf is not None and page.records:
            place = len(page.records) // 2
            value = _KEYS[arguments]
            if arguments == "number":  # the same key, without its quotes
                digits = shelf.key_of(page.records[place]).lstrip("0")
                if not digits.isdigit():
                    return
                value = digits.encode()
            page.records[place] = shelf.with_key(page.records[place], value)

    return _page_fault(change)


# ------------------------------------------------------------------ options


def _other_query(ask: Ask, change: Callable[[str, str], str | None]) -> Ask:
    """*ask* with another value for each of its options; None: without it."""
    parts = []
    for part in ask.raw_query.split("&"):
        name, equals, value = part.partition("=")
        said = unquote(value.replace("+", " "))
        other = change(unquote(name), said)
        if other == said:
            parts.append(part)
        elif other is not None:
            parts.append(f"{name}{equals}{quote(other, safe='')}")
    raw = "&".join(parts)
    return msgspec.structs.replace(ask, raw_query=raw, query=tuple(parse_qsl(raw, keep_blank_values=True)))


_OPTIONS = {"filter": ("filter",), "orderby": ("orderby",), "desc": ("orderby",), "top": ("top", "limit")}
_SCOPE = re.compile(r"OriginatingSystemName eq '(?:[^']|'')*'")


def _ignored(arguments: str) -> Fault:
    def change(name: str, value: str) -> str | None:
        if name.lstrip("$_") not in _OPTIONS[arguments]:
            return value
        if arguments == "filter":  # what says whose rows are meant is no filter but a part of the address
            scope = _SCOPE.search(value)
            return scope[0] if scope else None
        if arguments == "desc":  # the wrong way round
            return ",".join(f"{term.split()[0]} desc" for term in value.split(","))
        return None

    def before(scene: Scene) -> Ask:
        return _other_query(scene.ask, change)

    return always(Effect(before=before))


def _cap(arguments: str) -> Fault:
    if arguments == "more":  # twice as many rows as were asked for

        def more(scene: Scene) -> Ask:
            return _other_query(
                scene.ask,
                lambda name, value: str(2 * int(value)) if name in ("$top", "_limit") and int(value) > 1 else value,
            )

        return always(Effect(before=more))
    if arguments.startswith("top="):  # pages are cut without a word
        most = int(arguments.removeprefix("top="))

        def silently(scene: Scene) -> Ask:
            return _other_query(
                scene.ask, lambda name, value: str(min(most, int(value))) if name in ("$top", "_limit") else value
            )

        return always(Effect(before=silently))
    last = int(arguments)

    def before(scene: Scene) -> Ask | Answer:
        skip = next((value for name, value in scene.ask.query if name in ("$skip", "_skip")), "0")
        if skip.isdigit() and int(skip) > last:
            return Answer(status=400, body=b'{"error":{"code":400,"message":"The offset is too large"}}')
        return scene.ask

    return always(Effect(before=before))


def _desync(arguments: str) -> Fault:
    """The answer to another request: of another resource where there is one, or to another page of the same."""

    def before(scene: Scene) -> Ask | Answer:
        mine = resource_of(scene.simulator, scene.ask.path)
        for ask, answer in reversed(scene.earlier):
            theirs = resource_of(scene.simulator, ask.path)
            other = theirs != mine if arguments != "page" else ask.raw_query != scene.ask.raw_query and theirs == mine
            if other:
                return answer
        return scene.ask

    return always(Effect(before=before))


PAGE_KINDS: dict[str, Kind] = {
    "next": Kind(usage="next:self|cycle,<k>|repeat|empty|drop|style,<how>|ttl,<seconds>", make=_next),
    "short": Kind(usage="short:<share>", make=_short),
    "dup": Kind(usage="dup:same|newer|older", make=one_of("same", "newer", "older", make=_twice)),
    "count": Kind(
        usage="count:absent|wrong|low|negative|string|moves",
        make=one_of("absent", "wrong", "low", "negative", "string", "moves", make=_count),
    ),
    "key": Kind(usage="key:missing|null|number|empty|long", make=one_of(*_KEYS, make=_key)),
    "ignore": Kind(usage="ignore:filter|orderby|desc|top", make=one_of(*_OPTIONS, make=_ignored)),
    "cap": Kind(usage="cap:<offset>|top=<rows>|more", make=_cap),
    "desync": Kind(usage="desync:other|page", make=one_of("other", "page", make=_desync)),
}
