"""From the answers of a probe to a profile, with the evidence in words. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from harvester.inquiry import Reply
from harvester.planning import dialogue
from harvester.planning.answers import Answers
from harvester.planning.heard import filter_heard, orderby_heard, select_heard, skip_heard, top_heard
from harvester.planning.paging import cap_of, count_worth, link_led, link_of, order_of, sensible_page, steadiness
from harvester.planning.profile import Finding, Profile


def read_profile(replies: Sequence[Reply]) -> Profile:
    """What *replies*, at least the first page, tell."""
    requests = sum(not reply.unasked for reply in replies)
    first = replies[0]
    if not first.rows:
        finding = Finding("records", "none", "the first page is empty, so nothing can be found out")
        return Profile(requests=requests, rows=0, usable=True, dated=True, findings=(finding,))
    answers = Answers(replies)
    filter_, filter_seen = filter_heard(answers)
    orderby, orderby_seen = orderby_heard(answers)
    top, top_seen = top_heard(answers)
    skip, skip_seen = skip_heard(answers)
    select, select_seen = select_heard(answers)
    count, count_seen = count_worth(answers)
    cap, cap_seen = cap_of(answers)
    form, form_seen = link_of(answers)
    leads_on, age, led_seen = link_led(answers)
    order = order_of(answers)
    steady, steady_seen = steadiness(answers)
    page_size, speed = sensible_page(answers, cap)
    records = next((reply.count for reply in reversed(answers.everything) if reply.count is not None), None)
    return Profile(
        requests=requests,
        rows=first.rows,
        usable=dialogue.usable(first),
        dated=any(time is not None for time in first.times),
        number_key=first.number_key,
        records=records,
        count=count,
        cap=cap,
        link=form,
        link_leads_on=leads_on,
        link_age=age,
        whole=answers.whole,
        beyond=answers.beyond,
        order=order,
        steady=steady,
        filter=filter_,
        orderby=orderby,
        top=top,
        skip=skip,
        select=select,
        page_size=page_size,
        faults=any(reply.failed for reply in replies),
        findings=(
            Finding("page cap", "none found" if cap is None else f"{cap:,} records", cap_seen),
            Finding("$count", count.value if records is None else f"{count.value}: {records:,}", count_seen),
            Finding("order by default", order.value, f"of the {first.rows:,} records of the first page"),
            Finding("two reads agree", {True: "yes", False: "no", None: "unknown"}[steady], steady_seen),
            Finding("$filter", filter_.value, filter_seen),
            Finding("$orderby", orderby.value, orderby_seen),
            Finding("$top", top.value, top_seen),
            Finding("$skip", skip.value, skip_seen),
            Finding("$select", select.value, select_seen),
            Finding("next link", form.value, form_seen),
            Finding("link lifetime", "unknown" if age is None else f"at least {age:.1f} s", led_seen),
            Finding("compression", first.encoding or "none", _compressed(first)),
            Finding("sensible page", "unknown" if page_size is None else f"{page_size:,} records", speed),
        ),
    )


def _compressed(first: Reply) -> str:
    if not first.encoding or not first.wire_bytes:
        return f"{first.bytes:,} bytes a page"
    return f"{first.bytes:,} bytes came as {first.wire_bytes:,}"
