"""Several credentials of one account: ``demo``, ``demo-2``, ``demo-3`` …, each with a quota of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from harvester.sandbox.simulator import Ask

_NUMBERED = re.compile(r"(?P<first>.+?)(?:-(?P<number>[2-9]))?")


@runtime_checkable
class Holders(Protocol):
    """A simulator that has several credentials."""

    def holder(self, ask: Ask) -> int | None:
        """The number of the credential that *ask* was made with, from 1; None: it is none of them."""
        ...


def numbered(first: str, number: int) -> str:
    """The *number*-th credential of those that begin with *first*."""
    return first if number == 1 else f"{first}-{number}"


def number_of(text: str, first: str) -> int | None:
    """Which of them *text* is; None: none."""
    found = _NUMBERED.fullmatch(text)
    if found is None or found["first"] != first:
        return None
    return int(found["number"] or 1)


def several(source: Mapping[str, object], names: Sequence[str], count: int) -> Mapping[str, object]:
    """The ``[sources.…]`` table *source* with *count* credentials in the place of its one.

    Args:
        names: keys of the table that hold a secret that is numbered; other secrets are the same in each.
    """
    if count == 1:
        return source
    alike = ("ancillary_key",)
    kept = {name: value for name, value in source.items() if name not in (*names, *alike)}
    kept["credentials"] = [
        {"name": f"number-{number}"}
        | {name: numbered(str(source[name]), number) for name in names}
        | {name: source[name] for name in alike if name in source}
        for number in range(1, count + 1)
    ]
    return kept
