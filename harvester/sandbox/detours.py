"""Links of the sandbox's own making: they lead to a place the provider knows, under a name it never gave.

A server may write its links in any way and must understand them when they come back. What is handed out here is
remembered, byte for byte, and led back to the provider's own form before its simulator sees the request.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, unquote

import msgspec

from harvester.sandbox.simulator import Answer, Ask

_MARK = "_via"
_TOKEN = re.compile(r"via(\d+)\.(.*)", re.DOTALL)
_TOKENS = frozenset({"_skiptoken", "$skiptoken"})
_JSON = (("Content-Type", "application/json; charset=utf-8"),)


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    query: str | None = None  # as it must come back; None: not checked
    twice: bool = False  # it was percent-encoded once more than it had to be
    answer: Answer | None = None  # what the link leads to, instead of the provider's own answer


class Detours:
    """Hands out links and tokens, and leads the requests that follow them back."""

    def __init__(self) -> None:
        self._given: list[_Given] = []

    def link(self, url: str, *, exact: bool = False, twice: bool = False, answer: Answer | None = None) -> str:
        """A link to where *url* leads.

        Args:
            exact: a request that follows it with other bytes is refused.
            twice: the query is percent-encoded once more.
            answer: what it leads to instead.
        """
        head, mark, query = url.partition("?")
        if twice:
            query = re.sub(r"%[0-9A-Fa-f]{2}", lambda found: quote(found[0], safe=""), query)
        query = f"{query}{'&' if mark else ''}{_MARK}={len(self._given)}"
        self._given.append(_Given(query=query if exact else None, twice=twice, answer=answer))
        return f"{head}?{query}"

    def token(self, token: str, *, answer: Answer | None = None) -> str:
        """A skip token for the place behind *token*."""
        self._given.append(_Given(answer=answer))
        return f"via{len(self._given) - 1}.{token}"

    def lead(self, ask: Ask) -> Ask | Answer:
        """*ask* as the provider knows it; the answer where the link leads to one of its own."""
        number = self._number(ask)
        if number is None or number >= len(self._given):
            return ask
        given = self._given[number]
        if given.query is not None and given.query != ask.raw_query:
            return Answer(status=400, headers=_JSON, body=b'{"error":"This is not the link that was given"}')
        if given.answer is not None:
            return given.answer
        parts = [part for part in ask.raw_query.split("&") if part.partition("=")[0] != _MARK]
        raw = "&".join(map(_plain, parts))
        if given.twice:
            raw = re.sub(r"%25([0-9A-Fa-f]{2})", r"%\1", raw)
        query = tuple(parse_qsl(raw, keep_blank_values=True))
        return msgspec.structs.replace(ask, raw_query=raw, query=query)

    def _number(self, ask: Ask) -> int | None:
        for name, value in reversed(ask.query):  # of a detour to a detour the last one counts
            if name == _MARK and value.isdigit():
                return int(value)
            found = _TOKEN.fullmatch(value) if name in _TOKENS else None
            if found is not None:
                return int(found[1])
        return None


def _plain(part: str) -> str:
    """A query part without the mark in front of its token."""
    name, equals, value = part.partition("=")
    if unquote(name) not in _TOKENS:
        return part
    found = _TOKEN.fullmatch(unquote(value))
    if found is None:
        return part
    inner = _TOKEN.fullmatch(found[2])
    while inner is not None:  # a detour to a detour
        found, inner = inner, _TOKEN.fullmatch(inner[2])
    return f"{name}{equals}{quote(found[2], safe='')}"
