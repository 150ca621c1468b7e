"""Imports run one way: vocabulary in its order, rooms only what the table grants them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "harvester"

VOCABULARY = ("errors", "model", "data_model", "inquiry", "events", "contracts", "provider", "clock")
GRANTED: dict[str, set[str]] = {
    "config": set(),
    "auth": set(),
    "pagers": set(),
    "decode": set(),
    "governor": set(),
    "store": set(),
    "report": set(),
    "sandbox": set(),
    "wire": {"governor"},
    "planning": {"store"},
    "engine": {"wire", "decode", "store"},
    "providers": {"auth", "pagers", "decode", "governor"},
    "api": {"config", "providers", "planning", "engine", "wire", "governor", "store", "report"},
    "cli": {"api", "report", "sandbox"},
}
# Files outside every room. The public names come from the rooms that make them.
ENTRY_POINTS = {"__init__": {"api", "config", "engine", "report", *VOCABULARY}, "__main__": {"cli"}}
# Each of these libraries is behind one port or one stage; another importer would be a second way around it.
ONLY_IN = {
    "aiohttp": {"wire", "sandbox"},
    "cyclopts": {"cli"},
    "rich": {"report", "cli"},
    "uvloop": {"cli"},
    "sqlite3": {"store", "governor"},
    "redis": {"governor"},
    "tomllib": {"config"},
}


def imports_of(source: str, room: str) -> Iterator[str]:
    """Dotted names that *source*, a file of *room*, imports: also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield f"harvester.{room}.<relative import>"
            elif node.module == "harvester":
                yield from (f"harvester.{alias.name}" for alias in node.names)
            elif node.module:
                yield node.module


def room_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else path.stem


def problems_in(source: str, room: str) -> list[str]:
    """What the imports of *source*, as a file of *room*, break."""
    found = []
    for name in imports_of(source, room):
        top, _, below = name.partition(".")
        if top != "harvester":
            if top in ONLY_IN and room not in ONLY_IN[top]:
                found.append(f"{room} imports {top}, which belongs to {sorted(ONLY_IN[top])}")
            continue
        target = below.partition(".")[0]
        if "<relative import>" in below:
            found.append(f"{room} has a relative import")
        elif room in VOCABULARY:
            if target not in VOCABULARY or VOCABULARY.index(target) >= VOCABULARY.index(room):
                found.append(f"{room} imports {target}, which comes later or is no vocabulary")
        elif room in ENTRY_POINTS:
            if target not in ENTRY_POINTS[room]:
                found.append(f"{room} imports {target}")
        elif room not in GRANTED:
            found.append(f"{room} is no room of the house")
        elif target != room and target not in VOCABULARY and target not in GRANTED[room]:
            found.append(f"{room} imports {target}")
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_file_imports_only_what_its_room_is_granted(path: Path) -> None:
    assert problems_in(path.read_text(), room_of(path)) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("sandbox", "from harvester.pagers.odata import quote"),
        ("pagers", "from harvester.wire.origin import gate"),
        ("store", "import harvester.engine.worker"),
        ("model", "from harvester.events import Event"),
        ("errors", "from harvester.model import Walk"),
        ("report", "from harvester import config"),
        ("wire", "def f():\n    from harvester.store.keys import KeyIndex"),
        ("engine", "from . import worker"),
        ("engine", "import aiohttp.client"),
        ("attic", "from harvester.model import Walk"),
        ("__init__", "from harvester.wire.stack import build"),
    ],
)
def test_a_forbidden_import_is_seen(room: str, source: str) -> None:
    assert problems_in(source, room)


def test_a_granted_import_is_no_problem() -> None:
    source = "from harvester.wire.stack import build\nfrom harvester.model import Walk\nimport harvester.engine.worker"
    assert problems_in(source, "engine") == []


def test_no_file_is_named_for_nothing_in_particular() -> None:
    names = {path.stem for path in FILES}
    assert not names & {"utils", "util", "helpers", "helper", "common", "base", "misc"}
