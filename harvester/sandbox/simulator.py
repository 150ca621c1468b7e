"""What a simulated provider is: a function from one request to one answer, plus the truth it serves.

A simulator knows no sockets: ``sandbox.server`` owns them, applies faults and keeps the request log. It shares
no code with the client, whose bugs it would otherwise agree with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from harvester.sandbox.shelves import Shelf


class Ask(Struct, frozen=True, kw_only=True):
    """One request as it came in."""

    method: str
    path: str  # below the simulator's mount point, percent-decoded, no leading slash: ``v1/odata/Property``
    raw_path: str  # the same, not decoded
    query: tuple[tuple[str, str], ...]  # decoded pairs in order (``+`` is a space)
    raw_query: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    origin: str  # scheme://host:port/mount the request was sent to, for links in the answer
    now: datetime  # aware UTC, the sandbox's clock
    elapsed: float  # seconds since the sandbox started, the same clock, never goes back


class Answer(Struct, frozen=True, kw_only=True):
    """One response. ``Content-Length`` and ``Date`` are added by the server."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    refused: str = ""  # name of the window that was over its limit; for the log
    paused: bool = False  # the request came inside a pause the client had been told about; for the log
    token: bool = False  # this was a token request; for the log


class Simulator(Protocol):
    """One provider on loopback. Its file is ``sandbox/<name>.py``, its class is found there as ``SIMULATOR``."""

    name: str

    def answer(self, ask: Ask) -> Answer: ...

    def resources(self) -> Sequence[str]:
        """Names for ``truth``, as the client's configuration names them."""
        ...

    def truth(self, resource: str) -> Iterator[bytes]:
        """The records a perfect replica holds now, one JSON object each without line end, in any order.

        Exactly the bytes the API serves per record (default parameters, no select), with the stamps of the
        on-disk format in front: IMS ``OriginatingSystemName``, IDX ``_key`` / ``_<id name>`` / ``value``.
        """
        ...

    def shelves(self, resource: str) -> Sequence[Shelf]:
        """The live tables that *resource* is served from, for faults of the data; none where rows are not in tables."""
        ...

    def mutate(self, count: int) -> None:
        """Change *count* rows: inserts 40 %, updates 50 %, deletes 10 %, from the simulator's own seeded stream."""
        ...

    def expire_tokens(self) -> None:
        """End every token issued so far (fault ``token:ttl``); a provider without tokens does nothing."""
        ...


def fits_resource(path: str, resource: str) -> bool:
    """Is *path* about *resource*: the collection itself, one of its entities, or something below it?"""
    at = f"/{path}/".find(f"/{resource}/")
    return at >= 0 or f"/{path}".find(f"/{resource}(") >= 0


def resource_of(simulator: Simulator, path: str) -> str | None:
    """The resource *path* is about, the longest name that fits; None: about none."""
    return max((name for name in simulator.resources() if fits_resource(path, name)), key=len, default=None)
