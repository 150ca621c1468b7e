"""SparkQL as the simulator reads it."""

from __future__ import annotations

import json

import pytest

from harvester.sandbox.records import Row
from harvester.sandbox.sparkql import SparkQLError, compile_filter
from harvester.sandbox.stamps import instant_of

STAMP = "2024-01-01T00:00:00Z"
ROW = Row(
    "1",
    json.dumps({"City": "O'Fallon", "ListPrice": 123412.0, "Pool": True, "Agent": None, "Day": "2024-02-03"}).encode(),
    modified=STAMP,
    instant=instant_of(STAMP) or 0,
)


def holds(text: str) -> bool:
    found = compile_filter(text, searchable=lambda name: name != "Hidden", read=lambda row: json.loads(row.body))
    return found(ROW)


@pytest.mark.parametrize(
    "text",
    [
        "City Eq 'O\\'Fallon'",
        "City Eq 'Austin','O\\'Fallon'",
        "City Ne 'Austin'",
        "ListPrice Gt 123411.99 And ListPrice Lt 123412.01",
        "ListPrice Bt 123412,200000",
        "Pool Eq true",
        "Agent Eq NULL",
        "Day Ge 2024-02-03",
        f"ModificationTimestamp Ge {STAMP}",
        "ModificationTimestamp Bt 2023-12-31T00:00:00Z,2024-01-01T00:00:00Z",
        "Not City Eq 'Austin'",
        "City Eq 'Austin' And Pool Eq true Or ListPrice Gt 1",
        "(City Eq 'Austin' Or Pool Eq true) And ListPrice Gt 1",
        'Not "Main"."Builder" Eq \'x\'',
    ],
)
def test_true_of_the_row(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "City Eq 'austin'",
        "City Ne 'O\\'Fallon','Austin'",
        "ListPrice Eq '123412.0'",
        "Agent Gt 1",
        f"ModificationTimestamp Gt {STAMP}",
        "City Eq 'Austin' And (Pool Eq true Or ListPrice Gt 1)",
        "ListPrice Bt 1,2",
    ],
)
def test_false_of_the_row(text: str) -> None:
    assert not holds(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "City",
        "City Eq",
        "City eq 'x'",
        "City Eq 'x' And",
        "(City Eq 'x'",
        "City Eq 'x')",
        "City Bt 1",
        "City Gt 1,2",
        "Hidden Eq 1",
        "City Eq x",
        "City Eq 'x",
        "ModificationTimestamp Gt 2024-13-01T00:00:00Z",
        "; drop",
    ],
)
def test_what_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(SparkQLError):
        holds(text)
