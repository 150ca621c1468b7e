"""What a probe asks a server, and what came back: values between a provider, the engine and the planner.

An ``Inquiry`` is a question in no provider's language; ``Provider.questions`` says it in a request. A ``Reply`` holds
what can be concluded from, never the records themselves.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from harvester.model import PageRequest, Walk


class Link(Struct, frozen=True):
    """A next link and the page it was found on."""

    page_url: str  # as sent
    text: str  # as the provider wrote it


class Inquiry(Struct, frozen=True, kw_only=True):
    """One question. The members add up: a question may ask for several things at once."""

    name: str  # what it is called in evidence: "first page", "newest first"
    size: int | None = None  # at most so many records; None: the server decides
    skip: int = 0  # leave out so many of the first
    portion: int | None = None  # everything, but in pages of so many
    count: bool = False  # and how many there are in all
    heads_only: bool = False  # only identity and modification time of each record
    newest_first: bool = False  # by modification time, then key, both descending
    dated: bool = True  # False: records turned out to have no modification time, so ask by key alone
    since: str | None = None  # modified at or after this; the provider's own text
    oldest_first: bool = False  # by modification time, then key, both ascending
    key: str | None = None  # the records whose first identity member is this
    number: bool = False  # that key is a number, no text
    link: Link | None = None  # the page behind this link, byte for byte; all else is left out


class Reply(Struct, frozen=True, kw_only=True):
    """An answer, or that there was none."""

    inquiry: Inquiry
    unasked: bool = False  # the provider has no words for it: nothing was sent
    refused: str = ""  # why the server did not answer; "" when it did
    failed: bool = False  # that was a fault of the server (5xx), which need not be there another time
    status: int = 0  # of a refusal, where it is known
    allowed: int | None = None  # largest page, where the refusal names it
    selected: bool = False  # the request said which members it wants
    skipped: bool = False  # and that it wants to leave out the first records
    rows: int = 0  # records that came, undecodable ones among them
    keys: tuple[tuple[str, ...] | None, ...] = ()  # identity of each decoded record; None: it has none that can be used
    times: tuple[str | None, ...] = ()  # modification time of each, the provider's text
    members: frozenset[str] = frozenset()  # top-level members of the first record
    number_key: bool = False  # the first identity member of the first record is a JSON number
    link: Link | None = None  # to the next page
    count: int | None = None  # total the server claims
    at: float = 0.0  # seconds since the probe began, when it was asked
    seconds: float = 0.0  # from sending to the last byte
    bytes: int = 0  # decoded body
    wire_bytes: int = 0
    encoding: str = ""  # Content-Encoding; "": not compressed

    @property
    def answered(self) -> bool:
        return not self.unasked and not self.refused


class Questions(Protocol):
    """Says inquiries in a provider's language."""

    def ask(self, walk: Walk, inquiry: Inquiry) -> PageRequest | None:
        """The request for *walk*'s resource; None: the provider has no words for it, so it stays unknown."""
        ...
