"""Live data: inserts, updates and deletes from a seeded stream."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Literal

from harvester.sandbox.records import Row, Table, render


def change_one(
    rng: Random, table: Table, insert: Callable[[], Row], update: Callable[[Row], Row]
) -> tuple[Literal["insert", "update", "delete"], Row]:
    """Change one row of *table*: inserts 40 %, updates 50 %, deletes 10 %. The last row is never deleted.

    Returns what happened and the row as it is now, or was.
    """
    roll = rng.random()
    if roll < 0.4 or not len(table):
        row = insert()
        table.put(row)
        return "insert", row
    row = table.by_key[int(rng.random() * len(table))]
    if roll < 0.9 or len(table) == 1:
        row = update(row)
        table.put(row)
        return "update", row
    return "delete", table.remove(row.key)


def changed(row: Row, values: dict[str, bytes], *, modified: str, instant: int) -> Row:
    """*row* with other *values* for members it has, at their place, and a new modification time."""
    members = row.rendered()
    members.update(values)
    return Row(row.key, render(members), modified=modified, instant=instant, extra=row.extra)
