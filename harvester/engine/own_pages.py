"""Whether a page is one of the resource that was asked for, or the answer to another request (FAULTS H11)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec import Raw

from harvester.decode.heads import HeadReader
from harvester.errors import ProtocolError
from harvester.model import Head, Resource


def check_own(resource: Resource, records: Sequence[Raw]) -> None:
    """Raises ``ProtocolError`` when no record of a page has so much as the member that identifies it.

    One record without its key is a bad record (FAULTS P14); a whole page of them is another resource's. Of a single
    record the modification time must be missing too.
    """
    if not resource.key or not records:
        return
    read = _reader(resource).read
    first = read(records[0])
    if not _is_stranger(first):  # one look at most pages
        return
    if len(records) == 1 and (first.modified is not None or resource.modified is None):
        return
    if all(_is_stranger(read(record)) for record in records):
        names = " and ".join(resource.key)
        raise ProtocolError(
            f"{resource.name}: none of the {len(records)} records of a page has {names}: it is the answer to another "
            "request, or the key of the resource is another one."
        )


def _is_stranger(head: Head) -> bool:
    return head.key is None and head.problem.endswith(" is absent")


@lru_cache(maxsize=64)
def _reader(resource: Resource) -> HeadReader:
    return HeadReader(resource)
