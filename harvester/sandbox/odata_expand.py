"""``$expand`` with nested options: ``ListAgent(select=A,B),Expenses(expand=Translations)``."""

from __future__ import annotations

import msgspec

from harvester.sandbox.odata import parse_select
from harvester.sandbox.odata_filter import QueryError


class Expand(msgspec.Struct, frozen=True):
    """One navigation to include, with its own options; names without ``$``."""

    name: str
    select: tuple[str, ...] = ()
    top: str = ""  # as written; "" when absent
    expand: tuple[Expand, ...] = ()


def parse_expand(text: str) -> tuple[Expand, ...]:
    """Read an ``$expand``; options may have their ``$`` or not. Raises ``QueryError``."""
    return tuple(_item(part.strip(), text) for part in _split(text, ",", text))


def _item(part: str, text: str) -> Expand:
    name, bracket, rest = part.partition("(")
    if not name or not name.isidentifier() or (bracket and not rest.endswith(")")):
        raise QueryError(f"Invalid expand: {text}")
    select: tuple[str, ...] = ()
    top = ""
    inner: tuple[Expand, ...] = ()
    for option in _split(rest[:-1], ";", text) if bracket else ():
        label, _, value = option.strip().removeprefix("$").partition("=")
        match label:
            case "select":
                select = parse_select(value)
            case "expand":
                inner = parse_expand(value)
            case "top":
                top = value
            case _:
                raise QueryError(f"Option not supported in $expand: {option}")
    return Expand(name, select, top, inner)


def _split(text: str, separator: str, whole: str) -> list[str]:
    """Split outside brackets."""
    parts, depth, start = [], 0, 0
    for position, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth < 0:
            break
        if char == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    if depth:
        raise QueryError(f"Unbalanced brackets: {whole}")
    return [*parts, text[start:]]
