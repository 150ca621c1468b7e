"""The answers of one probe, by question."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harvester.inquiry import Reply
from harvester.planning import dialogue


class Answers:
    """What came of each question. The first page always came."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        self.replies = tuple(replies)
        self.first = replies[0]
        self.had = {reply.inquiry.name: reply for reply in replies if reply.answered}
        self.refused = {reply.inquiry.name: reply.refused for reply in replies if reply.refused and not reply.failed}
        self.failed = {reply.inquiry.name: reply.refused for reply in replies if reply.failed}
        # The page of many records: the first try, or what was left of the question.
        self.large = self.had.get(dialogue.HUGE_PAGE) or self.had.get(dialogue.ALLOWED)

    def why_not(self, question: str) -> str:
        """Why nothing is known from *question*."""
        return self.failed.get(question, "not asked")

    @property
    def huge(self) -> int | None:
        """How many records were asked for at first, far more than any page holds; None: that was not asked."""
        return next((reply.inquiry.size for reply in self.replies if reply.inquiry.name == dialogue.HUGE_PAGE), None)

    @property
    def blamed(self) -> str:
        """The query option for which the huge page was refused; "": it was not, or it is not known."""
        return dialogue.blamed(self.refused.get(dialogue.HUGE_PAGE, ""))

    @property
    def most(self) -> int:
        """The most records that came in any answer."""
        return max(reply.rows for reply in self.had.values())

    @property
    def everything(self) -> list[Reply]:
        """Answers to questions about all records."""
        return [reply for reply in self.had.values() if _asks_all(reply)]

    def exhausted(self, reply: Reply) -> bool:
        """Whether *reply* holds all that its question is about: it had room for more."""
        room = self.most if reply.inquiry.size is None else min(reply.inquiry.size, self.most)
        return reply.link is None and reply.rows < room

    @property
    def counts_too_much(self) -> bool:
        """For a set that came to its end."""
        since = self.had.get(dialogue.SINCE)
        return since is not None and self.exhausted(since) and (since.count or 0) > since.rows

    @property
    def beyond(self) -> bool:
        """Whether an answer held records that are not on the first page."""
        mine = set(self.first.keys)
        return any(key is not None and key not in mine for reply in self.had.values() for key in reply.keys)

    @property
    def whole(self) -> bool:
        """Whether no answer showed a sign of records beyond the first page."""
        first = self.first
        claims = max((reply.count or 0 for reply in self.everything), default=0)
        return (
            first.link is None
            and all(reply.rows <= first.rows for reply in self.everything)
            and all(reply.link is None or reply.inquiry.portion is not None for reply in self.everything)
            and not self.beyond
            and (claims <= first.rows or self.counts_too_much)
        )


def rising(keys: Sequence[str]) -> bool:
    """Whether *keys* go up as text, without regard to case, or as numbers: servers compare in any of these ways."""
    ways: list[Callable[[str], str | int]] = [str, str.casefold]
    if all(key.isascii() and key.isdigit() for key in keys):
        ways.append(int)
    return any(ranks == sorted(ranks) for ranks in ([way(key) for key in keys] for way in ways))


def _asks_all(reply: Reply) -> bool:
    inquiry = reply.inquiry
    return inquiry.since is None and inquiry.key is None and inquiry.link is None and not inquiry.newest_first
