"""Which query options a server honours, as the answers of a probe show. Pure.

Each function returns what becomes of the option, and in words how that was seen.
"""

from __future__ import annotations

from harvester.inquiry import Reply
from harvester.planning import dialogue
from harvester.planning.answers import Answers, rising
from harvester.planning.dialogue import when
from harvester.planning.profile import Heard

_ODD = 0.1  # share of records that an index newer than its records, or a changed clock, may explain


def filter_heard(answers: Answers) -> tuple[Heard, str]:
    """By the records behind a bound that are known exactly, or by one key."""
    if reason := answers.refused.get(dialogue.SINCE) or answers.refused.get(dialogue.ONE):
        return (Heard.UNKNOWN if dialogue.blamed(reason) else Heard.REFUSED), reason
    one = answers.had.get(dialogue.ONE)
    if one is not None:
        return _one_record(answers, one)
    since = answers.had.get(dialogue.SINCE)
    bound = when(since.inquiry.since or "") if since is not None else None
    if since is None or bound is None:
        return Heard.UNKNOWN, answers.why_not(dialogue.SINCE)
    older = sum(1 for time in since.times if time is not None and (when(time) or bound) < bound)
    if older > _ODD * since.rows:
        return Heard.IGNORED, f"{older:,} of {since.rows:,} records are older than the bound asked for"
    missing = _known_behind(answers, since.inquiry.since or "") - {key for key in since.keys if key is not None}
    if missing and (answers.exhausted(since) or not since.rows):
        return Heard.WRONG, f"{len(missing):,} records that the filter lets through did not come"
    if not since.rows:
        return Heard.UNKNOWN, "nothing came, and nothing was known to be behind the bound"
    return Heard.HONOURED, f"{since.rows:,} records came, none older than the bound asked for"


def orderby_heard(answers: Answers) -> tuple[Heard, str]:
    """By an answer in descending order; and the ascending one must not contradict it."""
    if reason := answers.refused.get(dialogue.NEWEST):
        return (Heard.UNKNOWN if dialogue.blamed(reason) else Heard.REFUSED), reason
    newest = answers.had.get(dialogue.NEWEST)
    if newest is None:
        return Heard.UNKNOWN, answers.why_not(dialogue.NEWEST)
    if len({when(time) for time in newest.times if time is not None}) > 1:
        if not dialogue.falls(newest.times):
            return Heard.IGNORED, f"{newest.rows:,} records were asked for newest first and came otherwise"
        since = answers.had.get(dialogue.SINCE)
        if since is not None and dialogue.falls(since.times):
            return Heard.WRONG, "the newest came first, also when the oldest were asked for first"
        return Heard.HONOURED, f"{newest.rows:,} records came newest first, as asked for"
    keys = [key[0] for key in newest.keys if key is not None]
    if len(set(keys)) < 2:
        return Heard.UNKNOWN, "there are too few records to see an order"
    if rising(keys[::-1]):
        return Heard.HONOURED, f"{newest.rows:,} records came with the last key first, as asked for"
    return Heard.IGNORED, f"{newest.rows:,} records were asked for with the last key first and came otherwise"


def top_heard(answers: Answers) -> tuple[Heard, str]:
    """By how many came where few, or very many, were asked for."""
    large = answers.large
    if large is not None and large.inquiry.size is None and answers.blamed == "top":
        return Heard.REFUSED, answers.refused[dialogue.HUGE_PAGE]
    newest = answers.had.get(dialogue.NEWEST)
    asked = newest.inquiry.size if newest is not None else None
    if newest is not None and asked is not None:
        if newest.rows > asked:
            return Heard.IGNORED, f"{asked} were asked for, {newest.rows:,} came"
        if answers.first.rows > asked or (large is not None and large.rows > asked):
            return Heard.HONOURED, f"{asked} were asked for, {newest.rows} came"
    if large is not None and large.rows > answers.first.rows:
        return Heard.HONOURED, f"{large.rows:,} came instead of {answers.first.rows:,}"
    return Heard.UNKNOWN, "there are too few records to see"


def skip_heard(answers: Answers) -> tuple[Heard, str]:
    """By the record that comes first where the first was to be left out."""
    whole, first = answers.had.get(dialogue.WHOLE_PAGE), answers.first
    if reason := answers.refused.get(dialogue.WHOLE_PAGE):
        return (Heard.REFUSED if dialogue.blamed(reason) == "skip" else Heard.UNKNOWN), reason
    if whole is None or not whole.skipped or not whole.keys or len(first.keys) < 2:
        return Heard.UNKNOWN, answers.why_not(dialogue.WHOLE_PAGE)
    if whole.keys[0] == first.keys[1]:
        return Heard.HONOURED, "the first record was left out, as asked for"
    if whole.keys[0] == first.keys[0]:
        return Heard.IGNORED, "the first record came, though it was to be left out"
    return Heard.UNKNOWN, "another record came first"


def select_heard(answers: Answers) -> tuple[Heard, str]:
    """By the members of a record that was asked for with few of them."""
    large = answers.large
    if large is not None and not large.inquiry.heads_only and answers.blamed == "select":
        return Heard.REFUSED, answers.refused[dialogue.HUGE_PAGE]
    if large is None or not large.selected:
        return Heard.UNKNOWN, "no answer to a request with it"
    own, left = _members(answers.first), _members(large)
    if left < own:
        return Heard.HONOURED, f"{len(left)} members came instead of {len(own)}"
    if len(own) <= 2:
        return Heard.UNKNOWN, "records have no members to leave out"
    return Heard.IGNORED, f"all {len(left)} members came"


def _one_record(answers: Answers, one: Reply) -> tuple[Heard, str]:
    keys = [key for key in one.keys if key is not None]
    if any(key[0] != one.inquiry.key for key in keys):
        return Heard.IGNORED, f"{one.rows:,} records came where one was asked for by its key"
    if not keys:
        return Heard.WRONG, "a record that is there was not found by its key"
    if answers.first.rows == len(keys):
        return Heard.UNKNOWN, "there are no other records to leave out"
    return Heard.HONOURED, "one record came, the one asked for by its key"


def _known_behind(answers: Answers, bound: str) -> set[tuple[str, ...]]:
    """Records known to be modified after *bound*: of the newest."""
    newest, edge = answers.had.get(dialogue.NEWEST), when(bound)
    if newest is None or edge is None:
        return set()
    pairs = zip(newest.keys, newest.times, strict=True)
    return {key for key, time in pairs if key is not None and time is not None and (when(time) or edge) > edge}


def _members(reply: Reply) -> frozenset[str]:
    """Of a record, without annotations."""
    return frozenset(name for name in reply.members if not name.startswith("@"))
