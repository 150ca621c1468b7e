"""The log of what came over the wire: enough to prove quotas, pauses and token use from outside, and no secret."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping

import msgspec

_KEPT = 500_000


class Entry(msgspec.Struct, kw_only=True):
    """One request on the wire. Written when it arrives, completed when it is answered."""

    number: int  # from 1, in the order of arrival
    at: float  # seconds since the sandbox started, on its clock
    time: str  # the same as aware UTC
    provider: str
    method: str
    path: str  # path and query as sent, below the provider's mount point
    identity: bool = False  # it came to the identity provider's port
    status: int = 0  # 0: not answered (yet)
    mark: str = ""  # of the credential: start of its hash, never the secret; "": none was sent
    credential: int | None = None  # which of the provider's it is, from 1; None: none of them
    token: bool = False  # a token request
    over: str = ""  # name of the window that was over its limit
    paused: bool = False  # inside a pause the client had been told about
    bytes: int = 0  # of the body sent, before compression
    fault: str = ""  # names of the faults it met, joined by a space


class RequestLog:
    """The latest half million requests."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=_KEPT)
        self.number = 0

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, entry: Entry) -> None:
        self._entries.append(entry)

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def of(self, provider: str, *, token: bool | None = None) -> list[Entry]:
        """The entries of one provider; *token*: only (or no) token requests."""
        return [entry for entry in self if entry.provider == provider and token in (None, entry.token)]

    def lines(self) -> bytes:
        """Everything as NDJSON."""
        return msgspec.json.Encoder().encode_lines(list(self._entries))


def mark_of(headers: Mapping[str, str]) -> str:
    """A name for the credential of a request that does not give it away; "" without one."""
    secret = headers.get("authorization") or headers.get("accesskey") or ""
    return hashlib.sha256(secret.encode()).hexdigest()[:10] if secret else ""
