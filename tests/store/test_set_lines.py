"""Lines of ``sets`` shards, and what ``verify`` makes of them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import structs

from harvester.engine.heads_of import heads_of
from harvester.errors import StorageError
from harvester.model import Relation
from harvester.store.documents import encode_document
from harvester.store.layout import manifest_path
from harvester.store.manifest import KeyDigest
from harvester.store.set_lines import read_set_line, set_line, whole_key
from harvester.store.verify import RunVerdict, verify_run
from tests.fakes.fs import MemoryFs
from tests.store.harvest import RUN, finish, seal

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_a_line_is_what_the_design_says() -> None:
    line = set_line({"ListingKey": "20"}, "Media", [("a",), ("b",)], AT, b'{"PhotosChangeTimestamp":null}')
    assert line == (
        b'{"parent":{"ListingKey":"20"},"resource":"Media","keys":["a","b"],"at":"2026-03-01T12:00:00Z",'
        b'"stamps":{"PhotosChangeTimestamp":null}}\n'
    )


@pytest.mark.parametrize("keys", [None, [], [("a",)], [("a", "1"), ("b",)]])
def test_a_line_is_read_as_it_was_written(keys: list[tuple[str, ...]] | None) -> None:
    found = read_set_line(set_line({"Id": "20"}, "listings/photos", keys, AT, None))
    assert found.members == (None if keys is None else tuple(keys))
    assert (found.parent, found.at, found.stamps) == ({"Id": "20"}, AT, None)


def test_stamps_keep_the_bytes_that_the_provider_wrote() -> None:
    stamps = b'{"PhotosChangeTimestamp":"2026-01-01T10:00:00.1234567Z","Odd":1.10}'
    found = read_set_line(set_line({"Id": "20"}, "listings/photos", None, AT, stamps))
    assert msgspec.json.encode(found.stamps) == stamps


def test_a_line_that_is_no_set_is_refused() -> None:
    with pytest.raises(StorageError, match="no set"):
        read_set_line(b'{"key":{"ListingKey":"1"},"deleted":true}')


def test_a_set_does_not_repeat_its_parent_where_that_is_a_part_of_the_key() -> None:
    assert whole_key(("_ListingKey", "Id"), "_ListingKey", "20", ("7",)) == ("20", "7")
    assert whole_key(("MediaKey",), "ResourceRecordKey", "20", ("7",)) == ("7",)


# ------------------------------------------------------------------ a finished run of sets


def verified(*lines: bytes, sets: int | None = None) -> RunVerdict:
    """A run of two photos with the set lines *lines*. *sets*: how many the manifest says; None: so many."""
    fs = MemoryFs()
    shards = [
        seal(fs, [b'{"MediaKey":"%s","ResourceRecordKey":"20"}' % key for key in (b"a", b"b")]),
        seal(fs, [line[:-1] for line in lines], kind="sets", token="0123abcd"),
    ]
    digest = KeyDigest()
    digest.add_all([("a",), ("b",)])
    manifest = structs.replace(
        finish(fs, shards),
        key=("MediaKey",),
        keys=digest.key_set(),
        sets=len(lines) if sets is None else sets,
        relation=Relation(parent="Property", parent_key=("ListingKey",), member="ResourceRecordKey"),
    )
    fs.replace(manifest_path(RUN), encode_document(manifest))
    return verify_run(fs, RUN, heads_of=heads_of)


def of_listing(*keys: str) -> bytes:
    return set_line({"ListingKey": "20"}, "Media", [(key,) for key in keys], AT, None)


def test_a_run_whose_sets_name_what_it_holds_matches() -> None:
    assert verified(of_listing("a", "b")).problems == ()


def test_a_set_that_names_a_record_the_run_does_not_hold_is_a_problem() -> None:
    """FAULTS F07: else the view would drop what it replaced, and show nothing instead."""
    (problem,) = verified(of_listing("a", "b", "c"), of_listing("d")).problems
    assert "name 2 records that the shards do not hold" in problem


def test_sets_are_counted() -> None:
    (problem,) = verified(of_listing("a", "b"), sets=2).problems
    assert "says 2 sets, the shards hold 1" in problem


def test_what_all_sets_were_read_with_names_no_records() -> None:
    assert verified(set_line({"ListingKey": "20"}, "Media", None, AT, None)).problems == ()
