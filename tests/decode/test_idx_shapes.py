"""Every shape of an IDX Broker answer becomes records, with the provider's bytes unchanged."""

from __future__ import annotations

import pytest
from msgspec import Raw

from harvester.decode.idx_shapes import IdxEnvelope
from harvester.decode.withheld import without_members
from harvester.errors import ProtocolError
from harvester.model import Action, Headers, Page, PageRequest, Resource, Response, Verdict, Walk

KEYED = Resource(name="clients/featured", key=("idxID", "listingID"))
PLAIN = Resource(name="mls/propertycount")
ENVELOPE = IdxEnvelope(
    whole=frozenset({"leads/search"}), withheld={"partners/clients": ("apikey", "accesskey", "password")}
)


def opened(
    body: bytes, resource: Resource = KEYED, *, content_type: str = "application/json", verdict: Action = Action.USE
) -> Page:
    response = Response(
        status=200,
        headers=Headers([("Content-Type", content_type), ("Date", "Sun, 01 Mar 2026 12:00:00 GMT")]),
        body=body,
        url="https://api.example.com/x",
        verdict=Verdict(action=verdict),
    )
    walk = Walk(id="w00", resource=resource, pager="snapshot")
    return ENVELOPE.open(response, PageRequest(url="x"), walk)


def rows(body: bytes, resource: Resource = KEYED) -> list[bytes]:
    return [bytes(record) for record in opened(body, resource).records]


# ------------------------------------------------------------------ the six shapes


def test_an_object_by_id_gives_its_records_with_the_id_as_first_member() -> None:
    body = b'{"a001%%0123":{"listingID":"0123","price":123412.00},"b014%%R1":{"listingID":"R1"}}'
    assert rows(body) == [
        b'{"_key":"a001%%0123","listingID":"0123","price":123412.00}',
        b'{"_key":"b014%%R1","listingID":"R1"}',
    ]


def test_an_object_counted_from_zero_is_a_collection_as_well() -> None:
    assert rows(b'{"0":{"listingID":"1"},"1":{"listingID":"2"}}') == [
        b'{"_key":"0","listingID":"1"}',
        b'{"_key":"1","listingID":"2"}',
    ]


def test_an_escaped_id_keeps_its_text() -> None:
    """PHP writes a slash with a backslash; the id itself has none."""
    assert rows(b'{"a001\\/\\u00e9\\"":{"listingID":"1"}}') == ['{"_key":"a001/é\\"","listingID":"1"}'.encode()]


def test_an_empty_record_by_id_is_its_id_alone() -> None:
    assert rows(b'{"7":{}}') == [b'{"_key":"7"}']


def test_a_list_gives_its_items_as_they_are() -> None:
    body = b'[{"id":"a001","n":1e400,"m":18446744073709551617},{"id": "b014" , "x":-0}]'
    assert rows(body) == [b'{"id":"a001","n":1e400,"m":18446744073709551617}', b'{"id": "b014" , "x":-0}']


def test_a_paged_list_gives_items_link_and_total() -> None:
    page = opened(
        b'{"data":[{"listingID":"1"}],"total":42,"first":"u","previous":null,"next":"u?offset=50","last":"u"}'
    )
    assert [bytes(record) for record in page.records] == [b'{"listingID":"1"}']
    assert (page.next_link, page.count) == ("u?offset=50", 42)


def test_a_paged_object_gives_records_with_their_ids() -> None:
    page = opened(b'{"data":{"a001%%1":{"listingID":"1"}},"total":"42","next":null}')
    assert [bytes(record) for record in page.records] == [b'{"_key":"a001%%1","listingID":"1"}']
    assert (page.next_link, page.count) == (None, 42)


@pytest.mark.parametrize("data", [b"[]", b"{}"])
def test_a_paged_set_without_records_is_empty(data: bytes) -> None:
    page = opened(b'{"data":' + data + b',"total":0,"next":null}')
    assert (list(page.records), page.count) == ([], 0)


@pytest.mark.parametrize("total", [b"-1", b'"many"', b"null", b"4.5", b"99999999999999999999"])
def test_an_absurd_total_says_nothing(total: bytes) -> None:
    """FAULTS P13."""
    assert opened(b'{"data":[{"listingID":"1"}],"total":' + total + b',"next":null}').count is None


def test_a_wrapper_of_one_list_is_taken_off() -> None:
    assert rows(b'{"agent":[{"agentID":"0001"},{"agentID":"0002"}]}') == [b'{"agentID":"0001"}', b'{"agentID":"0002"}']


def test_an_empty_wrapper_holds_nothing() -> None:
    assert rows(b'{"agent":[]}') == []


def test_a_lone_id_in_front_of_a_list_is_no_wrapper() -> None:
    """Taken off, the id would be lost."""
    assert rows(b'{"12":[{"name":"x"}]}', PLAIN) == [b'{"12":[{"name":"x"}]}']


@pytest.mark.parametrize("body", [b"4711", b" 4711\n", b"[4711]"])
def test_a_number_becomes_one_record(body: bytes) -> None:
    assert rows(body, PLAIN) == [b'{"value":4711}']


@pytest.mark.parametrize("body", [b'"1.0.4"', b'["1.0.4"]'])
def test_a_text_becomes_one_record(body: bytes) -> None:
    assert rows(body, PLAIN) == [b'{"value":"1.0.4"}']


def test_a_list_of_list_ids_becomes_one_record_each() -> None:
    assert rows(b'["combinedActiveMLS","lake"]', PLAIN) == [b'{"value":"combinedActiveMLS"}', b'{"value":"lake"}']


def test_an_object_with_plain_members_is_one_record() -> None:
    body = b'{"lastDownloadTime":"2026-03-01 09:00:00","image":{"0":{"url":"x"},"totalCount":1}}'
    assert rows(body, PLAIN) == [body]


def test_a_declared_whole_stays_one_record_although_all_members_are_objects() -> None:
    body = b'{"searchInformation":{"7":{"id":"7"}},"info":{"leadID":"5"}}'
    assert rows(body, Resource(name="leads/search")) == [body]


@pytest.mark.parametrize("body", [b"[]", b"{}"])
def test_an_empty_set_may_be_written_as_a_list_or_an_object(body: bytes) -> None:
    assert rows(body) == []


def test_a_legitimate_empty_answer_is_not_decoded() -> None:
    """204: FAULTS H13."""
    page = opened(b"<ignored>", verdict=Action.EMPTY)
    assert list(page.records) == []
    assert page.served_at is not None


# ------------------------------------------------------------------ what cannot be used


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'<?xml version="1.0"?><response/>', "application/json"),
        (b'<?xml version="1.0"?><response/>', "application/xml"),
        (b"<response/>", "text/xml; charset=utf-8"),
    ],
)
def test_xml_is_refused_with_what_to_do(body: bytes, content_type: str) -> None:
    """The account's preference decides when a format header is lost; XML is never written as JSON text."""
    with pytest.raises(ProtocolError, match="Set the output format of the account to JSON"):
        opened(body, content_type=content_type)


@pytest.mark.parametrize("body", [b"<br />\n<b>Warning</b>: x [1]", b"Warning: mysql_connect() {}", b"x"])
def test_a_message_before_the_data_is_refused(body: bytes) -> None:
    """FAULTS D09."""
    with pytest.raises(ProtocolError, match="begins with text"):
        opened(body, content_type="text/html")


@pytest.mark.parametrize("charset", ["iso-8859-1", '"UTF-16"'])
def test_other_encodings_are_refused(charset: str) -> None:
    """FAULTS H12."""
    with pytest.raises(ProtocolError, match="only JSON in UTF-8"):
        opened(b"[]", content_type=f"application/json; charset={charset}")


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_no_body_is_no_empty_set(body: bytes) -> None:
    """FAULTS H13: an empty set is said with 204."""
    with pytest.raises(ProtocolError, match="204"):
        opened(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":{"x":1}',
        b'[{"x":1}] []',
        b'[{"x":1},]',
        b"null",
        b"[null]",
        b"[[]]",
        b'[{"x":1},5]',
        b'{"data":5,"total":1}',
        b'{"data":null,"next":null}',
        b'{"data":[],"next":7}',
        b"nonsense",
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("resource", [KEYED, PLAIN])
def test_what_is_no_known_shape_is_never_an_empty_page(body: bytes, resource: Resource) -> None:
    """FAULTS D08, D09, D12."""
    with pytest.raises(ProtocolError):
        opened(body, resource)


@pytest.mark.parametrize("body", [b'"Invalid method"', b"0", b'["error"]', b"false"])
def test_a_bare_value_in_place_of_keyed_records_is_refused(body: bytes) -> None:
    """FAULTS S06: an error text is no listing."""
    with pytest.raises(ProtocolError, match="bare value"):
        opened(body)


def test_a_byte_order_mark_is_left_out() -> None:
    """FAULTS D09."""
    assert rows(b'\xef\xbb\xbf[{"id":"1"}]') == [b'{"id":"1"}']


def test_line_separators_and_escapes_inside_strings_stay() -> None:
    """FAULTS D02."""
    record = '{"remarks":"a\u2028b \\"x\\" \\u00e9 \\/"}'.encode()
    assert rows(b"[" + record + b"]") == [record]


# ------------------------------------------------------------------ one bad record does not cost the page


@pytest.mark.parametrize(
    "bad",
    [b'{"id":"2","t":"\xff"}', b'{"id":"2","t":"\\ud800"}', b'{"id":"2","n":NaN}'],
    ids=["utf8", "surrogate", "nan"],
)
@pytest.mark.parametrize(
    ("body", "good"),
    [
        (b'[{"id":"1"},%b,{"id":"3"}]', [b'{"id":"1"}', b'{"id":"3"}']),
        (b'{"a":{"id":"1"},"b":%b,"c":{"id":"3"}}', [b'{"_key":"a","id":"1"}', b'{"_key":"c","id":"3"}']),
        (b'{"data":[{"id":"1"},%b],"total":2,"next":null}', [b'{"id":"1"}']),
        (b'{"data":{"a":{"id":"1"},"b":%b},"total":2,"next":null}', [b'{"_key":"a","id":"1"}']),
        (b'{"agent":[%b,{"id":"3"}]}', [b'{"id":"3"}']),
    ],
    ids=["list", "keyed", "paged list", "paged keyed", "wrapped"],
)
def test_a_record_that_cannot_be_read_is_put_aside(body: bytes, good: list[bytes], bad: bytes) -> None:
    """FAULTS D03, D04, D05, in every shape that holds several records."""
    page = opened(body.replace(b"%b", bad))
    assert [bytes(record) for record in page.records] == good
    assert [each.record for each in page.rejected] == [bad]
    assert page.rejected[0].reason


def test_an_id_that_cannot_be_read_spoils_its_record() -> None:
    page = opened(b'{"\xff":{"id":"1"},"b":{"id":"2"}}')
    assert [bytes(record) for record in page.records] == [b'{"_key":"b","id":"2"}']
    assert len(page.rejected) == 1


# ------------------------------------------------------------------ credentials of others

CLIENTS = Resource(name="partners/clients", key=("accountID",), private=True)


def test_keys_of_clients_are_dropped_before_anything_is_written() -> None:
    """FAULTS E04: partners/clients holds each client's API key, whatever the member is called."""
    body = b'[{"accountID":1,"apiKey":"k1"},{"accountID":2,"API_Key":"k2","login":{"Password":"k3","user":"u"}}]'
    assert rows(body, CLIENTS) == [b'{"accountID":1}', b'{"accountID":2,"login":{"user":"u"}}']


def test_an_unreadable_client_is_reported_without_its_bytes() -> None:
    """What cannot be searched for keys is not kept, not even in quarantine."""
    page = opened(b'[{"accountID":1,"apiKey":"k1","x":"\xff"},{"accountID":2}]', CLIENTS)
    assert [bytes(record) for record in page.records] == [b'{"accountID":2}']
    assert b"k1" not in page.rejected[0].record


def test_other_resources_keep_every_member() -> None:
    assert rows(b'[{"apiKey":"k"}]') == [b'{"apiKey":"k"}']


def test_records_without_such_members_stay_byte_for_byte() -> None:
    record = Raw(b'{ "a" : 1.0, "b":[ {"c": 1e5} ] }')
    assert without_members(record, ("apikey",)) is record


def test_what_is_kept_beside_a_dropped_member_keeps_its_bytes() -> None:
    record = Raw(b'{"n": 1.10,"list":[{"apikey":"k","m":1e400},2],"t":"\\u00e9"}')
    assert bytes(without_members(record, ("apikey",))) == b'{"n":1.10,"list":[{"m":1e400},2],"t":"\\u00e9"}'
