"""Time, chance, names and files are reached through the ports only, so that a whole run can be simulated."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "harvester"

# The files behind the ports, and what each may touch.
BEHIND = {
    "clock.py": {"time", "chance", "names"},
    "store/files.py": {"files"},
    "store/system.py": {"files"},
    "cli/descriptors.py": {"files"},  # the null device, before anything else is opened
}
SEEDED_CHANCE = {"sandbox"}  # rooms that may make a seeded ``random.Random``, and no other use of the module

MODULES = {
    "time": "time",
    "random": "chance",
    "secrets": "chance",
    "uuid": "chance",
    "tempfile": "files",
    "shutil": "files",
    "glob": "files",
    "fcntl": "files",
    "fileinput": "files",
    "aiofiles": "files",
}
# Functions of modules that are otherwise fine to import.
FUNCTIONS = {
    **dict.fromkeys(("datetime.now", "datetime.utcnow", "datetime.today", "date.today"), "time"),
    "os.urandom": "chance",
    "os.getrandom": "chance",
    **dict.fromkeys(("socket.getaddrinfo", "socket.gethostbyname", "loop.getaddrinfo"), "names"),
    **dict.fromkeys(
        (
            *("os." + name for name in ("open", "fdopen", "remove", "unlink", "rename", "replace", "link", "symlink")),
            *("os." + name for name in ("mkdir", "makedirs", "rmdir", "removedirs", "listdir", "scandir", "walk")),
            *("os." + name for name in ("stat", "lstat", "chmod", "fsync", "fdatasync", "truncate", "access")),
            *("os.path." + name for name in ("exists", "isfile", "isdir", "getsize", "getmtime")),
            *("io." + name for name in ("open", "FileIO")),
            *("anyio." + name for name in ("open_file", "Path")),
        ),
        "files",
    ),
}
# Methods of ``pathlib.Path`` that no other type we use has.
PATH_METHODS = {
    *("read_text", "read_bytes", "write_text", "write_bytes", "is_file", "is_dir", "iterdir", "rglob", "touch"),
    *("mkdir", "rmdir", "unlink", "hardlink_to", "symlink_to", "expanduser", "lstat", "chmod"),
}


def uses_in(source: str) -> list[tuple[int, str, str]]:
    """Line, kind (``time``, ``chance``, ``names``, ``files``) and name of every touch of the outside in *source*."""
    found: list[tuple[int, str, str]] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, MODULES[a.name], a.name) for a in node.names if a.name in MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module in MODULES:
                names = {alias.name for alias in node.names}
                found.append((node.lineno, MODULES[node.module], f"{node.module}: {', '.join(sorted(names))}"))
            dotted = [f"{node.module}.{alias.name}" for alias in node.names]
            found += [(node.lineno, FUNCTIONS[name], name) for name in dotted if name in FUNCTIONS]
        elif isinstance(node, ast.Attribute):
            dotted_name = ast.unparse(node)
            for name, kind in FUNCTIONS.items():
                if dotted_name == name or dotted_name.endswith(f".{name}"):
                    found.append((node.lineno, kind, name))
            if node.attr in PATH_METHODS:
                found.append((node.lineno, "files", f".{node.attr}"))
        elif isinstance(node, ast.Name) and node.id == "open" and isinstance(node.ctx, ast.Load):
            found.append((node.lineno, "files", "open"))
    return found


def problems_in(path: str, source: str) -> list[str]:
    """Touches of the outside that the file *path* (below the package) is not granted."""
    granted = BEHIND.get(path, set())
    room = path.partition("/")[0]
    problems = []
    for line, kind, name in uses_in(source):
        seeded = room in SEEDED_CHANCE and name == "random: Random"
        if kind not in granted and not seeded:
            problems.append(f"{path}:{line}: {name} ({kind})")
    return problems


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_file_reaches_the_outside_only_through_the_ports(path: Path) -> None:
    assert problems_in(path.relative_to(PACKAGE).as_posix(), path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "from datetime import datetime\nx = datetime.now()",
        "import datetime\nx = datetime.datetime.now(datetime.UTC)",
        "import random\nx = random.random()",
        "from random import random",
        "import uuid",
        "import secrets",
        "import os\nx = os.urandom(8)",
        "import os\nos.replace('a', 'b')",
        "from os import rename",
        "x = open('a')",
        "from pathlib import Path\nx = Path('a').read_text()",
        "def f(p):\n    return p.write_bytes(b'')",
        "import anyio\nx = anyio.open_file('a')",
        "import tempfile",
        "import socket\nx = socket.getaddrinfo('a', 1)",
        "async def f(loop):\n    await loop.getaddrinfo('a', 1)",
    ],
)
def test_a_way_around_the_ports_is_seen(source: str) -> None:
    assert problems_in("engine/worker.py", source)


def test_the_sandbox_may_seed_its_own_chance_and_nothing_more() -> None:
    assert problems_in("sandbox/records.py", "from random import Random\nx = Random(1)") == []
    assert problems_in("sandbox/records.py", "from random import Random, random")
    assert problems_in("sandbox/records.py", "import random")
    assert problems_in("engine/worker.py", "from random import Random")


def test_what_only_looks_like_the_outside_is_no_problem() -> None:
    source = "async def f(fs, path, clock):\n    fs.open(path)\n    fs.replace(path, b'')\n    return clock.now()"
    assert problems_in("engine/worker.py", source) == []
