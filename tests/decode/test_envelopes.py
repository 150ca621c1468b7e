"""Envelopes: pages out of bodies, bad records to quarantine, everything else refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from harvester.contracts import Envelope
from harvester.decode.envelopes import MAX_RECORD, ImsEnvelope, ODataEnvelope, SparkEnvelope
from harvester.errors import ProtocolError
from harvester.model import Action, Headers, Page, PageRequest, Resource, Response, Verdict, Walk

ODATA, IMS, SPARK = ODataEnvelope(), ImsEnvelope(), SparkEnvelope()
WALK = Walk(id="w00", resource=Resource(name="Property"), pager="chain")
REQUEST = PageRequest(url="Property")


def opened(
    body: bytes, envelope: Envelope = ODATA, *, url: str = "https://h/Property", date: str = "", status: int = 200
) -> Page:
    headers = Headers([("Date", date)] if date else [])
    verdict = Verdict(action=Action.EMPTY if status == 204 else Action.USE)
    return envelope.open(Response(status=status, headers=headers, body=body, url=url, verdict=verdict), REQUEST, WALK)


def texts(page: Page) -> list[bytes]:
    return [bytes(record) for record in page.records]


def with_record(record: bytes) -> bytes:
    return b'{"@odata.count":3,"value":[{"a":1},' + record + b' , {"z":2}],"@odata.nextLink":"n"}'


# ------------------------------------------------------------------ what a page holds


def test_odata_gives_records_link_and_count() -> None:
    page = opened(b'{"@odata.context":"c","@odata.count":133,"value":[{"a":1},{"b":2}],"@odata.nextLink":"n"}')
    assert texts(page) == [b'{"a":1}', b'{"b":2}']
    assert (page.next_link, page.count) == ("n", 133)
    assert page.size == 89


def test_values_keep_every_digit() -> None:
    """FAULTS D05, D06: out of range for a float, but strict JSON: kept as the text it is."""
    record = b'{"a":1.10,"b":18446744073709551617,"c":1e400,"d":-0,"e":' + b"9" * 5000 + b"}"
    assert texts(opened(b'{"value":[' + record + b"]}")) == [record]


def test_ims_has_neither_link_nor_count() -> None:
    page = opened(b'{"value":[{"a":1}],"@odata.nextLink":"n","@odata.count":4}', IMS)
    assert (texts(page), page.next_link, page.count) == ([b'{"a":1}'], None, None)


def test_spark_gives_its_token_and_total() -> None:
    """Spark contract, section 3: the token sits directly under D."""
    page = opened(
        b'{"D":{"Success":true,"Results":[{"Id":"1"}],"SkipToken":"t","Pagination":{"TotalRows":78,"PageSize":25}}}',
        SPARK,
    )
    assert (texts(page), page.next_link, page.count) == ([b'{"Id":"1"}'], "t", 78)


def test_a_spark_count_comes_without_results() -> None:
    body = b'{"D":{"Success":true,"Pagination":{"TotalRows":78}}}'
    assert opened(body, SPARK, url="https://h/listings?_pagination=count").count == 78
    with pytest.raises(ProtocolError, match="Results"):
        opened(body, SPARK)


def test_masked_members_of_spark_are_named() -> None:
    """Spark contract, section 9: asterisks are no value."""
    record = b'{"Id":"1","StandardFields":{"A":"********","B":"*** ********","C":1,"D":"********"}}'
    page = opened(b'{"D":{"Results":[' + record + b',{"Id":"2"},{"Id":"********"}]}}', SPARK)
    emptied = record.replace(b'"********"', b"null")
    assert texts(page) == [b'{"_masked":["A","D"],' + emptied[1:], b'{"Id":"2"}', b'{"Id":"********"}']


def test_the_date_of_the_answer_is_kept_in_utc() -> None:
    page = opened(b'{"value":[]}', date="Sun, 06 Nov 1994 08:49:37 GMT")
    assert page.served_at == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    assert opened(b'{"value":[]}', date="yesterday").served_at is None


def test_an_answer_without_content_is_an_empty_page() -> None:
    """FAULTS H13, where the judge says that 204 is legitimate."""
    assert opened(b"", status=204).records == ()


@pytest.mark.parametrize("count", [b'"133"', b"-1", b"1.5", b"null", b"true", b"{}"])
def test_a_count_that_is_no_count_says_nothing(count: bytes) -> None:
    """FAULTS P13."""
    assert opened(b'{"@odata.count":' + count + b',"value":[]}').count is None


@pytest.mark.parametrize("link", [b'""', b"null"])
def test_an_empty_link_is_none(link: bytes) -> None:
    assert opened(b'{"value":[],"@odata.nextLink":' + link + b"}").next_link is None


# ------------------------------------------------------------------ bad records


@pytest.mark.parametrize(
    "record",
    [
        rb'{"k":"\ud800"}',  # FAULTS D04
        rb'{"k":"\udc00 low first"}',
        rb'{"\ud800\u0041":1}',
        b'{"k":NaN}',  # FAULTS D05
        b'{"k":[{"deep":-Infinity}]}',
        b'{"k":"\xff"}',  # FAULTS D03
        b'{"k":"\xed\xa0\x80"}',  # a surrogate in UTF-8 bytes
        b'{"k":"\xc3"}',
        b'{"k":"caf\xe9"}',  # Latin-1
        rb'{"k":"\x"}',
        b'{"k":"\x01"}',
        b'{"k":"two\nlines"}',
        b'{"k":01}',
        b'{"k":1,}',
        b'{"k":tru}',
    ],
)
def test_a_bad_record_goes_to_quarantine_and_the_page_stays(record: bytes) -> None:
    page = opened(with_record(record))
    assert texts(page) == [b'{"a":1}', b'{"z":2}']
    assert (page.next_link, page.count) == ("n", 3)
    assert [each.record for each in page.rejected] == [record]
    assert page.rejected[0].reason


def test_a_page_of_bad_records_only_is_a_page_without_records() -> None:
    page = opened(b'{"value":[{"a":NaN},{"a":NaN}]}')
    assert (texts(page), len(page.rejected)) == ([], 2)


def test_bad_records_of_spark_are_found_below_d() -> None:
    page = opened(b'{"D":{"Success":true,"Errors":[{}],"Results":[{"Id":NaN},{"Id":"2"}],"SkipToken":"t"}}', SPARK)
    assert (texts(page), page.next_link, len(page.rejected)) == ([b'{"Id":"2"}'], "t", 1)


def test_a_record_beyond_sixteen_megabytes_goes_to_quarantine() -> None:
    """FAULTS D11."""
    page = opened(with_record(b'{"k":"' + b"x" * MAX_RECORD + b'"}'))
    assert texts(page) == [b'{"a":1}', b'{"z":2}']
    assert page.rejected[0].reason == "larger than 16,777,216 bytes"


# ------------------------------------------------------------------ bodies that are no page


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",  # FAULTS D12
        b"[]",
        b'{"value":null}',
        b'{"value":{"a":1}}',
        b'{"Value":[]}',
        b'{"value":[1]}',
        b'{"value":[[1]]}',
        b'{"value":["x"]}',
        b'{"value":[null]}',
        b'{"value":[{"a":1}',  # cut
        b'{"value":[{"a":"1}]}',
        b'{"value":[{"a":1}]',
        b'{"value":[{"a":1}]} {"value":[]}',  # FAULTS D09
        b'{"value":[{"a":1}]} trailing',
        b")]}',\n" + b'{"value":[]}',
        b'{"value":[],"@odata.nextLink":7}',
        b'{"value":[],"x":NaN}',
        b'{"value":[],"x":"\xff"}',
        b'{"value":[{"a":1},NaN]}',
        '{"value":[]}'.encode("utf-16"),  # FAULTS H12
        b"<html></html>",
    ],
)
def test_a_body_that_is_not_this_envelope_is_refused(body: bytes) -> None:
    """No empty page may come of it: it would read as the end of the data."""
    with pytest.raises(ProtocolError, match="Property"):
        opened(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{}", "it is not an OData answer: it has no list named value"),
        (b'{"value":{}}', "value is an object where a list is due"),
        (b'{"value":null}', "value is null where a list is due"),
        (b"[]", "it is a list where an object is due"),
        (b'{"value":[],"@odata.nextLink":7}', "@odata.nextLink is a number where text is due"),
        (b'{"value":[', "it stops before its end"),
        (b'{"value":[]} x', "it is not JSON: trailing characters (byte 14)"),
    ],
)
def test_a_body_that_cannot_be_read_is_told_in_plain_words(body: bytes, reason: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        opened(body)
    assert str(caught.value).endswith(f"cannot be read: {reason}.")


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("place", ["record", "beside"])
def test_nesting_beyond_all_use_is_an_error_and_the_process_lives(depth: int, place: str) -> None:
    """FAULTS D08."""
    deep = b"[" * depth + b"]" * depth
    body = with_record(b'{"k":' + deep + b"}") if place == "record" else b'{"x":' + deep + b',"value":[]}'
    with pytest.raises(ProtocolError, match="nested too deeply"):
        opened(body)


def test_a_byte_order_mark_is_dropped() -> None:
    """FAULTS D09."""
    assert texts(opened(b"\xef\xbb\xbf" + b'{"value":[{"a":1}]}')) == [b'{"a":1}']


def test_of_repeated_members_of_an_envelope_the_last_counts() -> None:
    """FAULTS D07."""
    page = opened(b'{"value":[{"a":1}],"@odata.nextLink":"x","value":[{"b":2}],"@odata.nextLink":"y"}')
    assert (texts(page), page.next_link) == ([b'{"b":2}'], "y")


def test_links_are_read_from_the_top_level_only() -> None:
    """FAULTS D07: an expanded collection has links of its own."""
    page = opened(
        b'{"value":[{"Media":[],"Media@odata.nextLink":"m","@odata.nextLink":"n"}],"x":{"@odata.nextLink":"o"}}'
    )
    assert page.next_link is None


@pytest.mark.parametrize(
    "body", [b'{"Success":true,"Results":[]}', b'{"D":null}', b'{"D":{"Results":{}}}', b'{"value":[]}']
)
def test_a_body_without_d_is_no_spark_page(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        opened(body, SPARK)


def test_errors_do_not_quote_the_body() -> None:
    """FAULTS E04: a body may echo a secret."""
    with pytest.raises(ProtocolError) as caught:
        opened(b'{"value":[{"a":"S3CRET"}')
    assert "S3CRET" not in str(caught.value)
