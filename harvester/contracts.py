"""The ports and Protocols: what the rooms ask of each other and of the outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import BinaryIO, Protocol, runtime_checkable

from harvester.data_model import DataModel
from harvester.events import Event
from harvester.model import Ending, Head, Page, PageRequest, RateSignal, Request, Response, Verdict, Walk

# ------------------------------------------------------------------ ports to the outside


class Clock(Protocol):
    """Wall time for the record, monotonic time for durations."""

    def now(self) -> datetime:
        """Aware UTC. May jump in either direction (FAULTS C01): never subtract two of these to wait."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Rng(Protocol):
    """Chance: jitter and identifiers."""

    def uniform(self, low: float, high: float) -> float: ...

    def hex(self, size: int) -> str:
        """*size* random bytes as ``2 * size`` hexadecimal digits."""
        ...


class Resolver(Protocol):
    """Host names to addresses."""

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        """IP addresses as text, best first; never empty. Raises OSError when the name has none."""
        ...


class OutputFile(Protocol):
    """A file being written, created by ``Fs.create``."""

    def write(self, data: bytes) -> None:
        """All of *data* or an error: short writes are continued or raised (FAULTS F01)."""
        ...

    def sync(self) -> None:
        """Make what was written durable. After a failure the file must be abandoned (FAULTS F03)."""
        ...

    def close(self) -> None: ...


class FileLock(Protocol):
    """A kernel lock held by this process; it ends with the process at the latest."""

    def release(self) -> None: ...


class Fs(Protocol):
    """The file system. Blocking: called from the store's worker thread, or at start and end of a run.

    Every failure is a ``StorageError`` whose message names the path and the cause.
    """

    def make_directory(self, path: PurePath, *, private: bool = False) -> None:
        """Create *path* and its parents; an existing directory is fine. *private*: mode 0700."""
        ...

    def create(self, path: PurePath) -> OutputFile:
        """Create a new file; refuses an existing one and never follows a symlink (FAULTS E08)."""
        ...

    def create_if_absent(self, path: PurePath, data: bytes) -> bool:
        """Create *path* holding *data*, whole and durable, unless it exists. False: it exists, nothing was done."""
        ...

    def replace(self, path: PurePath, data: bytes, *, private: bool = False) -> None:
        """Write *data* to *path* atomically and durably, over an older version if there is one.

        *private*: mode 0600.
        """
        ...

    def rename(self, source: PurePath, target: PurePath) -> None:
        """Rename within a directory and make the new name durable."""
        ...

    def sync_directory(self, path: PurePath) -> None:
        """Make the names in *path* durable: also those that a process killed before its own sync had made."""
        ...

    def remove(self, path: PurePath) -> None:
        """Remove a file; an absent one is fine."""
        ...

    def remove_tree(self, path: PurePath) -> None:
        """Remove a directory and all below it; an absent one is fine."""
        ...

    def read(self, path: PurePath) -> bytes: ...

    def read_private(self, path: PurePath) -> bytes | None:
        """A file that is nobody else's to read or write; None: there is none, or it is not such (FAULTS A07)."""
        ...

    def open(self, path: PurePath) -> BinaryIO:
        """Open for reading, unbuffered or buffered; the caller closes it."""
        ...

    def exists(self, path: PurePath) -> bool: ...

    def size(self, path: PurePath) -> int: ...

    def names(self, directory: PurePath) -> Sequence[str]:
        """Names in *directory*, sorted; empty when it does not exist or is a file."""
        ...

    def walk(self, directory: PurePath) -> Iterator[PurePath]:
        """Every regular file below *directory*, depth first, sorted; nothing when it does not exist."""
        ...

    def lock(self, path: PurePath) -> FileLock:
        """Take an exclusive kernel lock. Raises ``Locked`` at once when another process holds it (FAULTS R09)."""
        ...


# ------------------------------------------------------------------ between the rooms


class Transport(Protocol):
    """Sends one request and returns one whole answer. Every layer of ``wire`` has this shape."""

    async def send(self, request: Request) -> Response:
        """The answer, whatever its status.

        Raises ``RepeatError`` when there is no whole answer, ``GiveUpError``/``MendError`` when asking again is
        useless, ``WaitError`` when it must not be asked now.
        """
        ...


class Pager(Protocol):
    """Says which pages may be asked for next. Fetches nothing and remembers nothing: position lives in PageRequest."""

    def first(self, walk: Walk) -> PageRequest: ...

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        """Pages that *page* proves to exist. All of them may be fetched at once. Empty: the walk has ended.

        Args:
            heads: one per record of *page*, computed when read; a pager that needs none costs none.
        Raises:
            ProtocolError: the page contradicts itself or the walk (a link to itself, FAULTS P01).
            OrderViolated: the server does not keep the order the walk depends on (FAULTS P15).
        """
        ...

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        """*request* again, from the same position, for at most *size* records; None: for half as many.

        The request itself when it cannot get any smaller.
        """
        ...

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        """Which records of *page* this walk has not delivered before; None: all of them.

        A keyset page begins with rows of the last value again; they are told by the keys in *request*'s state.
        """
        ...


@runtime_checkable
class LinkedPager(Pager, Protocol):
    """A pager that is led from page to page by the server, so that its walks end where nothing leads on.

    That a link is missing proves nothing: it may have been left out (FAULTS P06).
    """

    def ending(self, walk: Walk, page: Page) -> Ending:
        """What *page* shows of the end of *walk*. It is the last one that came, or ``OPEN`` is the answer."""
        ...

    def how_many(self, walk: Walk) -> PageRequest:
        """Asks only how many records there are for *walk*, within its bounds and by its filter."""
        ...


class Grid(Protocol):
    """Which stretches of an ordered set one page can hold."""

    @property
    def exact(self) -> bool:
        """A page may begin at any record, and one that is shorter than asked for begins there all the same."""
        ...

    def lay(self, start: int, stop: int | None, size: int, overlap: int, most: int) -> Sequence[tuple[int, int]]:
        """Pages (first record, records) that cover the records from *start* to *stop*, each up to *size* long.

        Args:
            stop: None: no end; *most* pages are laid.
            overlap: records that each page has in common with the next one, at least.
        Returns:
            One to *most* pages; the first begins at *start* or a little before.
        """
        ...

    def begin(self, start: int, size: int) -> int | None:
        """The most records, up to *size*, of a page that begins exactly at *start*; None: no page begins there."""
        ...


@runtime_checkable
class OffsetPager(Pager, Protocol):
    """A pager whose pages are told by how many records come before them, so that many can be asked for at a time.

    Only for an order that does not change, by key. What is asked for, and what that proves, is decided by the
    engine (``engine/seams.py``); ``follow`` therefore names nothing.
    """

    @property
    def grid(self) -> Grid: ...

    @property
    def may_count(self) -> bool:
        """The total can be asked for with any page."""
        ...

    def at(self, walk: Walk, base: PageRequest, start: int, size: int, *, counted: bool) -> PageRequest:
        """The page with *size* records behind the first *start*.

        Args:
            base: any request of this walk; all that does not tell the place is taken from it, byte for byte.
            counted: ask for the total as well.
        """
        ...

    def linked(self, walk: Walk, page: Page) -> PageRequest | None:
        """The request that *page*'s next link makes, if it is one that ``at`` can move; None: go on as before."""
        ...


@runtime_checkable
class SetPager(Pager, Protocol):
    """A pager for sets of related records, those of ``walk.keys`` one after another; ``follow`` goes on inside one."""

    def at(self, walk: Walk, place: int) -> PageRequest:
        """Stands for the set of the *place*-th key: the position of a walk."""
        ...

    def place_of(self, request: PageRequest) -> int:
        """The number of the key that *request* is for."""
        ...

    def alone(self, walk: Walk, place: int) -> PageRequest:
        """The first page of the set by its own path."""
        ...

    def inside(self, walk: Walk, place: int, names: Sequence[str]) -> PageRequest:
        """The parent's record with the sets *names* inside; without any, only whether it exists."""
        ...


class Envelope(Protocol):
    """Opens a response body: where a provider keeps records, next link and total."""

    def open(self, response: Response, request: PageRequest, walk: Walk) -> Page:
        """Raises ``ProtocolError`` when the body is not this envelope (FAULTS D08, D09, D12)."""
        ...


class Metadata(Protocol):
    """How a provider tells its data model: which requests, how their answers are judged, what they say."""

    def requests(self) -> Sequence[PageRequest]:
        """What to ask for, in this order. Never empty."""
        ...

    def judge(self, response: Response, otherwise: Judge) -> Verdict:
        """The verdict on any answer of the provider: its own on metadata, that of *otherwise* on all else."""
        ...

    def read(self, answers: Sequence[Response]) -> DataModel:
        """The model that the *answers* to ``requests`` tell. May take seconds: call it off the loop.

        Raises:
            ProtocolError: they cannot be read, or are beyond a bound (FAULTS M01, M02).
        """
        ...


Judge = Callable[[Response], Verdict]
"""Reads status, headers and body of an answer as the provider's contract tells; pure."""

SignalReader = Callable[[Response, datetime], RateSignal]
"""Reads what an answer says about the allowance; *datetime* is local aware UTC at receipt; pure."""

Sink = Callable[[Event], None]
"""Receives events as they happen, on the loop's thread; must not block."""


class Auth(Protocol):
    """Puts a credential on requests and renews it."""

    async def prepare(self) -> None:
        """Get or renew the credential if the next ``authorize`` needs it; the only step besides ``renew`` that sends.

        Called before a request is admitted: a token request made while holding an admission could wait for ever
        for one of its own.
        """
        ...

    async def authorize(self, request: Request) -> tuple[Request, str]:
        """The request with credentials, and a mark of the credential used (never the credential itself).

        Sends nothing. Raises ``TokenRefused`` with ``sent=False`` when the credential lapsed since ``prepare``.
        """
        ...

    async def renew(self, mark: str) -> bool:
        """The credential marked *mark* was refused. True: there is a newer one now, repeat once.

        Single flight: concurrent callers with the same mark cause one renewal; a caller whose mark is
        already old causes none (FAULTS A01, A05). False: this scheme cannot renew.
        """
        ...

    async def close(self) -> None:
        """End what is under way: a token request goes on when everyone who waited for it has been cancelled.

        Nobody may wait for the credential any more.
        """
        ...


class TokenKeeper(Protocol):
    """Keeps the token of one client for the next run. What it gives back is judged by whoever kept it."""

    def recall(self) -> bytes | None:
        """What was kept last; None: nothing that can be trusted."""
        ...

    def keep(self, document: bytes) -> None:
        """In place of what was kept before. A failure is no error: the next run asks anew."""
        ...


class AuthScheme(Protocol):
    """The declaration of an auth scheme in a Provider; becomes an ``Auth`` when bound to credentials."""

    def secrets(self) -> Sequence[str]:
        """Names of the configuration keys that must hold a secret, e.g. ``("client_id", "client_secret")``."""
        ...

    def takes(self) -> Sequence[str]:
        """Names of all configuration keys whose secrets it can use, needed or not."""
        ...

    @property
    def tokens_count(self) -> bool:
        """Whether token requests are charged to the provider's quota."""
        ...

    def token_endpoint(self, credential: Credential) -> str | None:
        """The absolute URL token requests go to; None: this scheme sends none."""
        ...

    def bind(
        self, credential: Credential, transport: Transport, clock: Clock, keeper: TokenKeeper | None = None
    ) -> Auth:
        """*transport* sends token requests: gated to the token URL's origin, and counted.

        *keeper*: where tokens outlive the run; None: nowhere.
        """
        ...


class Credential(Protocol):
    """The secrets of one source, masked in every repr."""

    token_url: str | None  # override of the scheme's own
    scope: str | None

    def reveal(self, name: str) -> str | None:
        """The secret configured as *name*; None when it is not configured."""
        ...
