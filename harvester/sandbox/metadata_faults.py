"""Faults of what a provider says of its data, and of data that is not what it says (FAULTS D11, M01 to M03)."""

from __future__ import annotations

from collections.abc import Callable
from xml.sax.saxutils import quoteattr

import msgspec

from harvester.sandbox.fault_kinds import Effect, Fault, Kind, Scene, always, one_of
from harvester.sandbox.pages import open_page
from harvester.sandbox.records import render
from harvester.sandbox.simulator import Answer

_XML = "application/xml"
_MIB = 1024 * 1024
_BODY = "<edmx:Edmx xmlns:edmx='http://docs.oasis-open.org/odata/ns/edmx'><a>%s</a></edmx:Edmx>"
_OPEN = '<Edmx><DataServices><Schema Namespace="S">'
_CLOSE = "</Schema></DataServices></Edmx>"
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _laughs() -> str:
    """A billion times a word, in a few hundred bytes."""
    levels = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))
    return f"<!DOCTYPE lolz [<!ENTITY l0 'lol'>{levels}]>" + _BODY % "&l9;"


def _quadratic() -> str:
    return f"<!DOCTYPE bomb [<!ENTITY a '{'a' * 50_000}'>]>" + _BODY % ("&a;" * 50_000)


def _deep() -> str:
    return "<Edmx>" + "<a>" * 200_000 + "</a>" * 200_000 + "</Edmx>"


_DOCUMENTS: dict[str, Callable[[], str]] = {
    "bomb": _laughs,
    "quadratic": _quadratic,
    "xxe": lambda: "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>" + _BODY % "&e;",
    "dtd": lambda: "<!DOCTYPE x SYSTEM 'http://127.0.0.1:9/x.dtd'>" + _BODY % "",
    "deep": _deep,
    "torn": lambda: _OPEN + '<EntityType Name="Property"><Key>',
    "empty": lambda: _OPEN + _CLOSE,
}


def _xml(arguments: str) -> Fault:
    name, _, size = arguments.partition("=")
    if name == "big":
        number = int(size or 200)
        if not 1 <= number <= 1_000:
            raise ValueError("the size lies from 1 to 1000 MiB")
        body = (_OPEN + " " * (number * _MIB) + _CLOSE).encode()
    elif name == "utf16" and not size:
        body = ('<?xml version="1.0" encoding="utf-16"?>' + _OPEN + _CLOSE).encode("utf-16")
    elif name in _DOCUMENTS and not size:
        body = _DOCUMENTS[name]().encode()
    else:
        raise ValueError(f"'{arguments}' is not known")
    return always(Effect(status=200, body=body, content_type=_XML))


_NAMES = ("../../x", "/etc/x", "CON", "nul.txt", "a\u202eb", "x" * 300, "PROPERTY", "Property", "Good_one")


def _names(_arguments: str) -> Fault:
    """Entity sets by names that must never become paths, beside two that may."""
    sets = "".join(f"<EntitySet Name={quoteattr(name)} EntityType='S.T'/>" for name in _NAMES)
    kind = '<EntityType Name="T"><Key><PropertyRef Name="ListingKey"/></Key><Property Name="ListingKey"/></EntityType>'
    body = f"{_OPEN}{kind}<EntityContainer Name='C'>{sets}</EntityContainer>{_CLOSE}".encode()
    return always(Effect(status=200, body=body, content_type=_XML))


def _new(members: dict[str, bytes]) -> None:
    members["SandboxNewField"] = b'"nobody declared this"'


def _missing(members: dict[str, bytes]) -> None:
    members.pop("StandardStatus", None)


def _retyped(members: dict[str, bytes]) -> None:
    if "ListPrice" in members:
        members["ListPrice"] = b'"by arrangement"'


def _wide(members: dict[str, bytes]) -> None:
    members.update({f"Wide{number:04d}": b"null" for number in range(5_000)})


_CHANGES = {"new": _new, "missing": _missing, "retyped": _retyped, "wide": _wide}


def _schema(arguments: str) -> Fault:
    change = _CHANGES[arguments]

    def after(_scene: Scene, answer: Answer) -> Answer:
        page = open_page(answer.body) if answer.status == 200 else None
        if page is None:
            return answer
        for place, record in enumerate(page.records):
            members = {name: bytes(value) for name, value in _members(record).items()}
            change(members)
            page.records[place] = render(members)
        return msgspec.structs.replace(answer, body=page.render())

    return always(Effect(after=after))


METADATA_KINDS: dict[str, Kind] = {
    "xml": Kind(usage=f"xml:{'|'.join(_DOCUMENTS)}|utf16|big[=MiB]", make=_xml),
    "name": Kind(usage="name:sets", make=one_of("sets", make=_names)),
    "schema": Kind(usage=f"schema:{'|'.join(_CHANGES)}", make=one_of(*_CHANGES, make=_schema)),
}
