"""A page that was fetched, with all that is known of how it came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harvester.decode.heads import PageHeads
from harvester.errors import HarvesterError
from harvester.model import Page, PageRequest


@dataclass(frozen=True, slots=True)
class Fetched:
    """A decoded page, what it proves to exist, and how long it took."""

    asked: PageRequest  # as the page before named it: what the frontier knows
    request: PageRequest  # as it was sent in the end, with fewer records where the server wanted that
    page: Page
    heads: PageHeads
    followers: Sequence[PageRequest]
    seconds: float  # from asking to the last byte, waits for the governor included
    travelled: float  # seconds of that from sending to the last byte
    wire_bytes: int  # the body as it came over the wire
    seams: int = 0  # of offset pages: how many were found to meet
    mended: int = 0  # how many of them only when they were read again
    extra: int = 0  # requests since the page before that did not read on
    unread: HarvesterError | None = None  # of a set: why it could not be read whole; the page is empty then
    absent: bool = False  # of a set: its parent is not there any more; the page is empty then
