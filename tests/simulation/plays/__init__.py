"""The scenarios: each file is one, with ``async def play(world)``; its name is the file's. There is no list to edit."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Mapping

from tests.simulation.world import Play


def scenarios() -> Mapping[str, Play]:
    """Every scenario by name, sorted."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}").play for name in names}


def kinds(play: Play) -> int:
    """How many kinds of worlds the seeds of a scenario go round in turn: each kind is to get all seeds."""
    kinds: int = getattr(sys.modules.get(getattr(play, "__module__", "")), "KINDS", 1)
    return kinds
