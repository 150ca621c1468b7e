"""What a next link holds is read from the link, and from how the next one differs."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from urllib.parse import quote

import pytest

from harvester.inquiry import Inquiry, Link, Reply
from harvester.planning.link_forms import LinkForm, form_of

ROOT = "https://api.example.com/odata/Property"


def page(number: int, link: str | None, *, rows: int = 100, sequential: bool = False) -> Reply:
    """Page *number* from 0, of *rows* records."""
    keys = [
        (str(place + 1) if sequential else f"L{(place * 7919) % 999_983:06d}",)
        for place in range(number * rows, (number + 1) * rows)
    ]
    found = None if link is None else Link(ROOT, link)
    return Reply(inquiry=Inquiry(name="page"), rows=rows, keys=tuple(keys), link=found)


def chain(link: Callable[[int, str], str], *, rows: int = 100, sequential: bool = False) -> tuple[Reply, Reply]:
    """Two pages; *link* makes the link behind so many records, the last of which has the key given."""
    pages = [page(number, None, rows=rows, sequential=sequential) for number in (0, 1)]
    lasts = [str((each.keys[-1] or ("",))[0]) for each in pages]
    return (
        page(0, link(rows, lasts[0]), rows=rows, sequential=sequential),
        page(1, link(2 * rows, lasts[1]), rows=rows, sequential=sequential),
    )


def packed(text: str) -> str:
    return quote(b64encode(text.encode()).decode(), safe="")


def sealed(text: str) -> str:
    return urlsafe_b64encode(sha256(text.encode()).digest()).decode()


FORMS: list[tuple[str, Callable[[int, str], str], LinkForm]] = [
    ("a $skip", lambda at, key: f"{ROOT}?$skip={at}", LinkForm.OFFSET),
    ("a quoted $skip", lambda at, key: f"{ROOT}?%24skip={at}&%24top=100", LinkForm.OFFSET),
    ("a relative link with an offset", lambda at, key: f"Property?limit=100&offset={at}", LinkForm.OFFSET),
    ("a page number", lambda at, key: f"?page={at // 100 + 1}", LinkForm.PAGE),
    ("an offset as a token", lambda at, key: f"{ROOT}?$skiptoken={at}", LinkForm.OFFSET),
    ("an offset in base64", lambda at, key: f"{ROOT}?$skiptoken={packed(str(at))}", LinkForm.OFFSET),
    ("an offset in JSON", lambda at, key: f"{ROOT}?cursor={packed(f'{{offset:{at},v:2}}')}", LinkForm.OFFSET),
    ("the last key", lambda at, key: f"{ROOT}?$skiptoken='{key}'", LinkForm.KEY),
    ("a filter behind the key", lambda at, key: f"{ROOT}?$filter=ListingKey%20gt%20'{key}'", LinkForm.KEY),
    ("a key in base64", lambda at, key: f"{ROOT}?after={packed(f'Property:{key}')}", LinkForm.KEY),
    ("a sealed token", lambda at, key: f"{ROOT}?$skiptoken={sealed(key)}", LinkForm.TOKEN),
    ("a bare token", lambda at, key: sealed(key), LinkForm.TOKEN),
    ("a bare key", lambda at, key: key, LinkForm.KEY),
    ("a number that does not count on", lambda at, key: f"{ROOT}?session=100&at={sealed(key)}", LinkForm.TOKEN),
    ("a page size, no place", lambda at, key: f"{ROOT}?$top=100&$skiptoken={sealed(key)}", LinkForm.TOKEN),
]


@pytest.mark.parametrize(("what", "link", "form"), FORMS, ids=[what for what, _, _ in FORMS])
def test_a_link_is_known_for_what_it_holds(what: str, link: Callable[[int, str], str], form: LinkForm) -> None:
    first, following = chain(link)
    found, seen = form_of(first, following)
    assert (found, bool(seen)) == (form, True)


def test_a_key_that_counts_like_an_offset_is_taken_for_an_offset() -> None:
    """In a table of 1, 2, 3 … nobody can tell; the careful reading is the safe one."""
    first, following = chain(lambda at, key: f"{ROOT}?$skiptoken={key}", sequential=True)
    assert form_of(first, following)[0] is LinkForm.OFFSET


def test_without_a_second_link_only_a_telling_number_is_an_offset() -> None:
    first, _ = chain(lambda at, key: f"{ROOT}?$skiptoken={packed(f'at:{at}')}")
    assert form_of(first, None)[0] is LinkForm.OFFSET
    few, _ = chain(lambda at, key: f"{ROOT}?$skiptoken={sealed('x')}5", rows=5)
    assert form_of(few, None)[0] is LinkForm.TOKEN


def test_what_the_request_had_already_is_no_place() -> None:
    """A filter of the user's own comes back in every link."""
    own = f"{ROOT}?offset=0&$filter=Beds%20gt%20100"
    first = page(0, None)
    told = Reply(inquiry=first.inquiry, rows=100, keys=first.keys, link=Link(own, f"{own}&$skiptoken={sealed('a')}"))
    assert form_of(told, None)[0] is LinkForm.TOKEN


def test_no_link_is_unknown() -> None:
    assert form_of(page(0, None), None) == (LinkForm.UNKNOWN, "")
