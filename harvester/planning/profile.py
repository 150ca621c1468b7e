"""What is known of how a server pages one resource; what is not known is ``unknown``, never guessed."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from harvester.planning.link_forms import LinkForm

FORMAT = 3  # of a kept profile; another one is probed anew


class Heard(StrEnum):
    """What becomes of a query option."""

    HONOURED = "honoured"
    IGNORED = "ignored"  # the answer is as if it were not there
    REFUSED = "refused"
    WRONG = "wrong"  # the answer is neither what was asked for nor everything
    UNKNOWN = "unknown"


class Count(StrEnum):
    """What ``$count`` is worth."""

    HONEST = "honest"  # right for a set whose size is known otherwise
    WRONG = "wrong"
    MOVING = "moving"  # two counts differ, and neither could be checked
    ABSENT = "absent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Order(StrEnum):
    """The order of records that nobody asked to be ordered."""

    KEY = "by key"
    TIME = "by time"
    OTHER = "no order that is known"
    UNKNOWN = "unknown"


class Finding(Struct, frozen=True):
    """One line of evidence, for people."""

    about: str
    found: str
    seen: str  # in which answer, and how


class Profile(Struct, frozen=True, kw_only=True):
    """One resource of one server, as a probe found it."""

    requests: int  # that it cost
    rows: int  # of the first page
    usable: bool  # records have the identity they are said to have
    dated: bool  # and a modification time
    number_key: bool = False  # the identity is a JSON number
    records: int | None = None  # in all, as the server counts; None: it does not
    count: Count = Count.UNKNOWN
    cap: int | None = None  # most records of a page when far more was asked for; None: nothing was held back
    link: LinkForm = LinkForm.UNKNOWN
    link_leads_on: bool | None = None  # to records that were not on the page before; None: not followed
    link_age: float | None = None  # seconds after which it was followed
    whole: bool = False  # the first page holds everything there is
    beyond: bool = False  # records were seen that are not on the first page
    order: Order = Order.UNKNOWN
    steady: bool | None = None  # two answers have the same order; None: there was only one
    filter: Heard = Heard.UNKNOWN
    orderby: Heard = Heard.UNKNOWN
    top: Heard = Heard.UNKNOWN
    skip: Heard = Heard.UNKNOWN
    select: Heard = Heard.UNKNOWN
    page_size: int | None = None  # largest sensible: by cap, bytes and speed; None: unknown
    faults: bool = False  # the server failed on a question, which another time it may answer
    findings: tuple[Finding, ...] = ()
