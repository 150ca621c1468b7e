"""Lead methods of IDX Broker: time windows of at most a week, asked for backwards from now."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Raw, Struct, structs

from harvester.errors import ArgumentError, FilterIgnored, PageTooLarge
from harvester.model import Head, Page, PageRequest, Phase, Walk
from harvester.pagers.paged_form import Progress, following_link, own_query, path_of, read_again, with_query

_TEXT = "%Y-%m-%d %H:%M:%S"
_LONGEST = 168 * 3600  # seconds; the maximum for leads and everything lead-related
_SHORTEST = 60  # seconds; the API's minimum is 0.0166 hours, 59.76 s
_OVERLAP = 1  # seconds; windows are rounded to seconds and nobody says which edge belongs to them
_HORIZON = 365 * 86400.0  # seconds
_ANY_ZONE = timedelta(hours=15)


class _Window(Struct, frozen=True):
    """One window; the cursor of the walk. Instants are UTC text as the API takes it."""

    end: str  # the moment nearest to now
    seconds: int
    floor: str  # the horizon: nothing before it is asked for
    progress: Progress = Progress()  # inside the window, where the server pages it
    date: str = ""  # which date of a record has to lie in it; "": the method's own choice


class LeadWindowPager:
    """Windows of at most 168 hours, walked back from the start of the run to the horizon, newest first.

    Without an explicit interval a lead method answers the last hour only, so every request has one. Windows
    overlap by one second; the records of that second come twice and are told by their keys. A window that holds
    more than the server gives in one answer is asked for by halves; windows grow again where leads are few.

    Needs ``walk.until``, text ``YYYY-MM-DD hh:mm:ss`` in UTC. ``walk.horizon`` is in seconds before it, default
    365 days. A delta goes back as far as its ``since``, over each date that a change may have moved, one after another.
    Source: IDX Broker contract, sections 4 and 8.

    Args:
        dates: by resource, what ``dateType`` may be.
    """

    def __init__(self, *, dates: Mapping[str, tuple[str, ...]] | None = None) -> None:
        self._dates = dates or {}

    def first(self, walk: Walk) -> PageRequest:
        """Raises ``ArgumentError`` when the walk has no readable end."""
        until = _bound(walk, walk.until)
        floor = until - timedelta(seconds=math.ceil(walk.horizon or _HORIZON))
        if walk.phase is Phase.DELTA and walk.since is not None:
            floor = _bound(walk, walk.since)  # behind *until* where this machine's clock was set back
        return _ask(walk, _newest(until, floor, self._dates_of(walk)[0]))

    def follow(self, walk: Walk, page: Page, heads: Sequence[Head]) -> Sequence[PageRequest]:
        """What comes next.

        Raises:
            PageTooLarge: the answer is as long as answers can be, which hides what was cut off.
            FilterIgnored: the records are not those of the date that was asked about.
        """
        window = _window(page.request)
        _check_dates(walk, window, page)
        progress = window.progress.after(page)
        link = following_link(page, progress, _query(walk, window))
        if link is not None:
            return (PageRequest(url=link, state=_state(window, progress)),)
        cap = walk.resource.page_size
        if page.count is None and len(page.records) == cap:
            raise PageTooLarge(
                f"{walk.resource.name}: the {window.seconds} s before {window.end} UTC hold {cap} records or more, "
                f"and one answer holds {cap} at most. Only a shorter window can show them all."
            )
        if read_again(walk, page, progress):
            return (_ask(walk, _replace(window, Progress(round=progress.round + 1))),)
        older = _older(window, grow=cap is None or 4 * progress.offset <= cap) or self._next_date(walk, window)
        return () if older is None else (_ask(walk, older),)

    def _next_date(self, walk: Walk, window: _Window) -> _Window | None:
        """The newest window over the date behind that of *window*; None: it was the last one."""
        dates = self._dates_of(walk)
        behind = dates[dates.index(window.date) + 1 :]
        return _newest(_instant(walk.until or ""), _instant(window.floor), behind[0]) if behind else None

    def _dates_of(self, walk: Walk) -> tuple[str, ...]:
        """All that there is lies in the windows over any one date; what changed, over that which the change moved."""
        is_delta = walk.phase is Phase.DELTA and walk.since is not None
        return self._dates.get(walk.resource.name, ("",)) if is_delta else ("",)

    def with_size(self, walk: Walk, request: PageRequest, size: int | None) -> PageRequest:
        """The same end with half the length, whatever *size*: the API cannot be asked for a number of leads."""
        window = _window(request)
        shorter = max(_SHORTEST, math.ceil(window.seconds / 2))
        if shorter >= window.seconds:
            return request
        return _ask(walk, structs.replace(window, seconds=shorter, progress=Progress()))

    def fresh(self, walk: Walk, request: PageRequest, page: Page, heads: Sequence[Head]) -> Sequence[bool] | None:
        return None


def _check_dates(walk: Walk, window: _Window, page: Page) -> None:
    """Raises ``FilterIgnored`` when a record shows that ``dateType`` is not kept to.

    Its times have no zone, so they may be the time of day anywhere; a date that never was is not in any window.
    """
    if not window.date:
        return
    end = _instant(window.end)
    begin = end - timedelta(seconds=window.seconds)
    for record in page.records:
        text = _text(record, window.date)
        if text is not None and not _may_lie_in(text, begin - _ANY_ZONE, end + _ANY_ZONE):
            raise FilterIgnored(
                f"{walk.resource.name}: asked about {window.date} in the {window.seconds} s before {window.end} UTC, "
                f"the server answers with a record of {text!a}: it does not keep to dateType"
            )


def _may_lie_in(text: str, begin: datetime, end: datetime) -> bool:
    try:
        return begin <= _instant(text) <= end
    except ValueError:  # 0000-00-00 00:00:00
        return False


def _text(record: Raw, name: str) -> str | None:
    """The text member *name*; None: there is none."""
    try:
        value = msgspec.json.decode(record, type=dict[str, Raw]).get(name)
        return None if value is None else msgspec.json.decode(value, type=str)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _bound(walk: Walk, text: str | None) -> datetime:
    try:
        return _instant(text or "")
    except ValueError as error:
        raise ArgumentError(
            f"{walk.resource.name}: a walk through lead windows needs its bounds as YYYY-MM-DD hh:mm:ss in UTC, "
            f"not {text!r}."
        ) from error


def _newest(until: datetime, floor: datetime, date: str) -> _Window:
    return _Window(end=f"{until:{_TEXT}}", seconds=_span(until, floor, _LONGEST), floor=f"{floor:{_TEXT}}", date=date)


def _older(window: _Window, *, grow: bool) -> _Window | None:
    """The window before *window*, which starts one second inside it; None: the horizon is reached."""
    floor = _instant(window.floor)
    start = _instant(window.end) - timedelta(seconds=window.seconds)
    if start <= floor:
        return None
    end = start + timedelta(seconds=_OVERLAP)
    seconds = _span(end, floor, min(_LONGEST, 2 * window.seconds if grow else window.seconds))
    return structs.replace(window, end=f"{end:{_TEXT}}", seconds=seconds, progress=Progress())


def _span(end: datetime, floor: datetime, longest: int) -> int:
    return max(_SHORTEST, min(longest, math.ceil((end - floor).total_seconds())))


def _query(walk: Walk, window: _Window) -> str:
    # The interval is rounded up, never down: what is missing at the far end would be in no window.
    hours = math.ceil(window.seconds * 10_000 / 3600) / 10_000
    interval = f"{hours:.4f}".rstrip("0").rstrip(".")
    place = f"interval={interval}&startDatetime={window.end.replace(' ', '+')}"
    date = f"dateType={window.date}" if window.date else ""
    return "&".join(part for part in (place, date, own_query(walk)) if part)


def _ask(walk: Walk, window: _Window) -> PageRequest:
    return PageRequest(url=with_query(path_of(walk), _query(walk, window)), state=_state(window, window.progress))


def _replace(window: _Window, progress: Progress) -> _Window:
    return structs.replace(window, progress=progress)


def _instant(text: str) -> datetime:
    return datetime.strptime(text, _TEXT).replace(tzinfo=UTC)


def _window(request: PageRequest) -> _Window:
    return msgspec.json.decode(request.state, type=_Window)


def _state(window: _Window, progress: Progress) -> str:
    return msgspec.json.encode(_replace(window, progress)).decode()
