"""Where posts of one source are judged: who sent them, what they say, and whether they are kept before the answer.

In this order: the signature over the bytes, then the notices, then the origin of every URL in them. Nothing is asked
of the provider here, and nothing at all of an origin that is not the source's.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from harvester.contracts import Clock
from harvester.errors import OriginRefused, ProtocolError, StorageError
from harvester.model import Notice
from harvester.provider import Guard, Push
from harvester.store.deliveries import Deliveries
from harvester.store.inbox import Inbox
from harvester.wire.origin import Origin
from harvester.wire.receiver import Post, Reply

MOST_WAITING = 100_000  # records; a sender that is told to wait comes again, and deltas bring them anyway
_MOST_ON_DISK = 256 << 20  # bytes of an inbox whose oldest notice cannot be dealt with
_RETRY_AFTER = 30  # seconds


class Door:
    """Takes the posts of one source.

    Args:
        wanted: whether notices of a resource are of use; others are acknowledged and forgotten.
        heard: called when there is something new in the inbox.
        refused: told why a post was not taken; it may be told the same many times.
    """

    def __init__(
        self,
        push: Push,
        guard: Guard,
        origin: Origin,
        inbox: Inbox,
        deliveries: Deliveries,
        clock: Clock,
        *,
        wanted: Callable[[str], bool],
        heard: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        self._push, self._guard, self._origin = push, guard, origin
        self._inbox, self._deliveries, self._clock = inbox, deliveries, clock
        self._wanted, self._heard, self._refused_of = wanted, heard, refused
        self._coming = 0  # notices on their way into the inbox
        self.taken = self.known = self.ignored = self.refused = self.overflowed = 0  # posts; ignored: notices

    async def take(self, post: Post) -> Reply:
        """Answer *post*: 2xx only when its notices outlive a crash (FAULTS W01 to W05)."""
        now = self._clock.now()
        name = self._guard(post.body, post.headers, now)
        if name is None:
            return self._no(401, "not signed by a secret that is good now")
        if name and self._deliveries.has(name):
            self.known += 1
            return Reply(status=200, message="known")
        try:
            notices = self._push.read(post.body)
            for notice in notices:
                if notice.url is not None:
                    self._origin.resolve(notice.url)
        except OriginRefused as error:
            return self._no(400, "a URL is not of this source", str(error))
        except ProtocolError as error:
            return self._no(400, "no notices of changed records", str(error))
        wanted = [structs.replace(notice, at=now) for notice in notices if self._wanted(notice.resource)]
        self.ignored += len(notices) - len(wanted)
        if wanted and (reply := await self._keep(wanted)) is not None:
            return reply
        if name:
            try:
                await self._deliveries.put(name, now.timestamp())
            except StorageError as error:  # the notices are safe; the same post may only be taken once more
                self._refused_of(str(error))
        self.taken += 1
        return Reply(status=202, message=f"{len(wanted)} of {len(notices)} notices taken")

    async def _keep(self, notices: list[Notice]) -> Reply | None:
        """Put *notices* into the inbox; why they could not be, or None."""
        if len(self._inbox) + self._coming + len(notices) > MOST_WAITING or self._inbox.disk_bytes > _MOST_ON_DISK:
            self.overflowed += 1
            self._refused_of(
                f"{len(self._inbox):,} records wait to be asked for; posts are put off until they are fewer"
            )
            return Reply(status=503, message="too many notices wait", retry_after=_RETRY_AFTER)
        self._coming += len(notices)
        try:
            await self._inbox.put(notices)
        except StorageError as error:
            self._refused_of(str(error))
            return Reply(status=503, message="notices cannot be kept now", retry_after=_RETRY_AFTER)
        finally:
            self._coming -= len(notices)
        self._heard()
        return None

    def _no(self, status: int, message: str, why: str = "") -> Reply:
        self.refused += 1
        self._refused_of(f"a post was refused: {why or message}")
        return Reply(status=status, message=message)
