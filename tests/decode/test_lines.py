"""Lines: one record, one line, the provider's bytes between the line ends."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from harvester.decode.lines import join_lines, make_stamp, put_stamp

STAMP = make_stamp([("OriginatingSystemName", "É'\"1")])


def raws(*records: bytes) -> list[Raw]:
    return [Raw(record) for record in records]


def test_records_are_joined_as_they_are() -> None:
    lines = join_lines(raws(b'{"a":1.10}', b'{ "b" : 2 }'))
    assert (lines.data, lines.rows, lines.compacted) == (b'{"a":1.10}\n{ "b" : 2 }\n', 2, 0)


def test_no_records_make_no_line() -> None:
    assert join_lines([]).data == b""
    assert join_lines(raws(b"{}"), STAMP, [False]).data == b""


def test_only_what_is_to_be_kept_is_written() -> None:
    lines = join_lines(raws(b'{"a":1}', b'{"b":2}', b'{"c":3}'), keep=[True, False, True])
    assert (lines.data, lines.rows) == (b'{"a":1}\n{"c":3}\n', 2)


def test_every_record_is_looked_at_for_line_ends() -> None:
    """FAULTS D01: one pretty-printed record among plain ones, wherever it stands."""
    for place in range(3):
        records = [b'{"a":"1 2"}', b'{"b":"3\\n4"}', b'{"c":5}']
        records[place] = records[place].replace(b":", b" :\r\n\t ").replace(b"{", b"{\n")
        lines = join_lines(raws(*records))
        assert lines.data.count(b"\n") == 3
        assert b"\r" not in lines.data
        assert lines.compacted == 1
        assert [json.loads(line) for line in lines.data.splitlines()] == [{"a": "1 2"}, {"b": "3\n4"}, {"c": 5}]


def test_a_lone_carriage_return_is_a_line_end_too() -> None:
    """FAULTS D01."""
    assert join_lines(raws(b'{"a":\r1}')).data == b'{"a":1}\n'


def test_separators_of_unicode_stay() -> None:
    """FAULTS D02: lines end at LF and nowhere else."""
    record = '{"a":"x\u2028y\u2029z\u0085"}'.encode()
    assert join_lines(raws(record)).data == record + b"\n"


def test_control_characters_stay_escaped() -> None:
    """FAULTS D10."""
    record = rb'{"a\u0000":"\u001b[31m"}'
    assert join_lines(raws(record)).data == record + b"\n"


def test_compaction_changes_no_value() -> None:
    """FAULTS D06."""
    record = b'{\n"a": 1.10,\n"b": 18446744073709551617,\n"c": 1e400,\n"d": "\\u00e9 \\/ \xc3\xa9"\n}'
    assert join_lines(raws(record)).data == (
        b'{"a":1.10,"b":18446744073709551617,"c":1e400,"d":"\\u00e9 \\/ \xc3\xa9"}\n'
    )


def test_a_stamp_stands_in_front_of_every_record() -> None:
    lines = join_lines(raws(b'{"a":1}', b'{"b":2}'), STAMP)
    assert (
        lines.data == '{"OriginatingSystemName":"É\'\\"1","a":1}\n{"OriginatingSystemName":"É\'\\"1","b":2}\n'.encode()
    )


def test_an_empty_record_takes_a_stamp_too() -> None:
    for empty in (b"{}", b"{ }", b"{" + b" " * 50 + b"}", b"{\n}"):
        lines = join_lines(raws(b'{"a":1}', empty, b'{"b":2}'), b'{"s":"x",')
        assert [json.loads(line) for line in lines.data.splitlines()] == [
            {"s": "x", "a": 1},
            {"s": "x"},
            {"s": "x", "b": 2},
        ]


def test_a_stamp_needs_members() -> None:
    assert make_stamp([]) == b""
    assert make_stamp([("_masked", ["A"]), ("n", 1)]) == b'{"_masked":["A"],"n":1,'
    assert put_stamp(b'{"s":1,', b' {"a":2}') == b'{"s":1,"a":2}'


_records = st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=5) | st.integers(), max_size=4), max_size=8)


@given(_records, st.data())
def test_lines_hold_the_records_whatever_their_layout(records: list[dict[str, object]], data: st.DataObject) -> None:
    indents = [data.draw(st.sampled_from([None, 0, 2])) for _ in records]
    written = [json.dumps(record, indent=indent).encode() for record, indent in zip(records, indents, strict=True)]
    keep = [data.draw(st.booleans()) for _ in records]
    stamp = data.draw(st.sampled_from([b"", b'{"_s":"x",']))
    lines = join_lines(raws(*written), stamp, keep)
    extra = {"_s": "x"} if stamp else {}
    assert [json.loads(line) for line in lines.data.split(b"\n")[:-1]] == [
        extra | record for record, kept in zip(records, keep, strict=True) if kept
    ]
    assert lines.rows == sum(keep)
    assert msgspec.json.decode(b"[" + b",".join(lines.data.split(b"\n")[:-1]) + b"]") is not None
