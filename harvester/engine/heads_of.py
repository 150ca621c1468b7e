"""How the records of a finished run are read again, as its manifest names their members."""

from __future__ import annotations

from collections.abc import Sequence

from harvester.decode.heads import HeadReader
from harvester.model import Resource
from harvester.store.manifest import Manifest
from harvester.store.recount import Heads


def heads_of(manifest: Manifest) -> Heads | None:
    """Keys and times of records of this run; None: an earlier release wrote it and did not name the members."""
    if not manifest.key:
        return None
    reader = HeadReader(Resource(name=manifest.resource, key=manifest.key, modified=manifest.modified))

    def read(records: Sequence[bytes]) -> tuple[Sequence[tuple[str, ...] | None], Sequence[str | None]]:
        columns = reader.read_page(records)
        return columns.keys, columns.times

    return read
