"""Whatever a server answers, the next question is found and the answers are read: nothing is a surprise."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.inquiry import Inquiry, Link, Reply
from harvester.model import Budget, Resource, Window
from harvester.planning.dialogue import next_inquiry
from harvester.planning.link_forms import LinkForm
from harvester.planning.profile import Count, Heard, Profile
from harvester.planning.reading import read_profile
from harvester.planning.strategy import choose_strategy, kept_strategy
from harvester.providers import load

ODATA = load("odata")
PROPERTY = Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp")

keys = st.one_of(st.none(), st.tuples(st.text(min_size=1, max_size=4)))
times = st.one_of(
    st.none(),
    st.sampled_from(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.1234567Z", "2026-02-30T25:00:00", "0001-01-01"]),
    st.text(max_size=12),
)
links = st.one_of(st.none(), st.builds(Link, st.just("http://127.0.0.1/x?$top=5"), st.text(max_size=40)))


@st.composite
def replies_to(draw: st.DrawFn, inquiry: Inquiry, first: bool) -> Reply:
    """An answer, a refusal, a fault, or that there are no words for the question."""
    kind = "answer" if first else draw(st.sampled_from(["answer", "answer", "answer", "refused", "failed", "unasked"]))
    if kind == "unasked":
        return Reply(inquiry=inquiry, unasked=True)
    if kind != "answer":
        why = draw(st.sampled_from(["status 400: $count", "status 500", "no", "$skip", "Top query is limited to 5"]))
        allowed = draw(st.one_of(st.none(), st.integers(1, 10)))
        return Reply(inquiry=inquiry, refused=why, failed=kind == "failed", allowed=allowed)
    rows = draw(st.lists(st.tuples(keys, times), max_size=8))
    return Reply(
        inquiry=inquiry,
        rows=len(rows) + draw(st.integers(0, 2)),
        keys=tuple(key for key, _ in rows),
        times=tuple(time for _, time in rows),
        members=draw(st.frozensets(st.sampled_from(["ListingKey", "ModificationTimestamp", "A", "@odata.id"]))),
        number_key=draw(st.booleans()),
        selected=draw(st.booleans()),
        skipped=draw(st.booleans()),
        link=draw(links),
        count=draw(st.one_of(st.none(), st.integers(0, 20))),
        at=draw(st.floats(0, 100)),
        seconds=draw(st.floats(0, 100)),
        bytes=draw(st.integers(0, 10**9)),
        wire_bytes=draw(st.integers(0, 10**9)),
    )


@st.composite
def probes(draw: st.DrawFn) -> tuple[Reply, ...]:
    replies: list[Reply] = []
    while len(replies) < 12 and (inquiry := next_inquiry(replies)) is not None:
        assert inquiry.name not in {reply.inquiry.name for reply in replies}
        assert inquiry.size is None or inquiry.size > 0
        replies.append(draw(replies_to(inquiry, not replies)))
    assert len(replies) <= 8
    return tuple(replies)


@given(probes())
@settings(max_examples=300, deadline=None)
def test_any_answers_lead_to_a_walk_with_a_reason(replies: tuple[Reply, ...]) -> None:
    profile = read_profile(replies)
    chosen = choose_strategy(ODATA, PROPERTY, profile, Budget())
    assert chosen.walk in ODATA.pagers
    assert chosen.reason
    assert chosen.page_size is None or chosen.page_size > 0
    assert kept_strategy(ODATA, PROPERTY, profile, "chain").walk == "chain"
    assert all(finding.found and finding.about for finding in profile.findings)


@given(probes())
@settings(max_examples=300, deadline=None)
def test_nothing_is_built_on_what_is_not_known(replies: tuple[Reply, ...]) -> None:
    """A walk by values or offsets needs what it asks for to be honoured; a chain of offsets is always a doubt."""
    profile: Profile = read_profile(replies)
    chosen = choose_strategy(ODATA, PROPERTY, profile, Budget())
    if chosen.walk in {"keyset", "offset", "windows"}:
        assert profile.orderby is Heard.HONOURED
    if chosen.walk in {"keyset", "windows"}:
        assert profile.filter is Heard.HONOURED
    if chosen.walk == "chain" and profile.link in {LinkForm.OFFSET, LinkForm.PAGE} and profile.usable and profile.rows:
        assert chosen.doubt
    if chosen.closing is not None and profile.dated and profile.rows:
        assert profile.filter in {Heard.HONOURED, Heard.UNKNOWN}


def server(**more: Any) -> Profile:
    """One whose links hold a token, and which filters, sorts and counts as asked."""
    facts: dict[str, Any] = {
        "requests": 6,
        "rows": 100,
        "usable": True,
        "dated": True,
        "cap": 100,
        "page_size": 100,
        "steady": True,
        "records": 4_000,
        "count": Count.UNKNOWN,
        "link": LinkForm.TOKEN,
        "link_leads_on": True,
        "filter": Heard.HONOURED,
        "orderby": Heard.HONOURED,
    }
    return Profile(**{**facts, **more})


FAST = Budget(windows=(Window(requests=10_000, seconds=60),), in_flight=8)


def test_many_pages_of_a_server_that_filters_and_sorts_are_read_in_windows_side_by_side() -> None:
    chosen = choose_strategy(ODATA, PROPERTY, server(), FAST)
    assert chosen.walk == "windows"
    assert "counts 4,000 records, so windows of time can be read side by side" in chosen.reason
    assert chosen.closing == "keyset"
    assert not chosen.doubt
    assert choose_strategy(ODATA, PROPERTY, server(link=LinkForm.NONE), FAST).walk == "windows"


@pytest.mark.parametrize(
    "more",
    [
        *({"filter": heard} for heard in Heard if heard is not Heard.HONOURED),
        *({"orderby": heard} for heard in Heard if heard is not Heard.HONOURED),
        *({"count": count} for count in (Count.WRONG, Count.ABSENT, Count.REFUSED)),
        *({"records": 3_900}, {"records": None}, {"dated": False}, {"top": Heard.REFUSED}),
    ],
)
def test_without_the_evidence_for_windows_the_links_are_followed(more: dict[str, Any]) -> None:
    assert choose_strategy(ODATA, PROPERTY, server(**more), FAST).walk == "chain"


def test_a_quota_that_one_walk_fills_is_not_spent_on_windows() -> None:
    slow = Budget(windows=(Window(requests=20, seconds=60),), in_flight=8)
    assert choose_strategy(ODATA, PROPERTY, server(), slow).walk == "chain"


def test_a_walk_that_may_be_fallen_back_to_is_doubted_like_a_chosen_one() -> None:
    """Windows may end in the server's own links; where those hold an offset, what they lose is not seen."""
    profile = server(link=LinkForm.OFFSET)
    kept = kept_strategy(ODATA, PROPERTY, profile, "windows")
    assert not kept.doubt
    assert "rows that shift while it is read are not seen" in kept.doubts["chain"]
    assert not kept_strategy(ODATA, PROPERTY, server(), "windows").doubts
