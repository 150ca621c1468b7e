"""What a run learns for the next one: the same whatever order the records come in, and about right."""

from __future__ import annotations

from random import Random

from harvester.store.keys import fingerprint, identity
from harvester.store.splits import MOST, Sketch, Splits


def sketch(keys: list[str], page: int = 100) -> Sketch:
    made = Sketch()
    for start in range(0, len(keys), page):
        part = [(key,) for key in keys[start : start + page]]
        made.add([fingerprint(identity(key)) for key in part], part, [f"T{key[0]}" for key in part])
    return made


def test_quantiles_do_not_depend_on_the_order_of_the_records() -> None:
    keys = [f"{number:06d}" for number in range(20_000)]
    mixed = keys.copy()
    Random(5).shuffle(mixed)
    assert sketch(keys).splits("A") == sketch(mixed, page=317).splits("A")


def test_quantiles_are_near_the_true_ones() -> None:
    splits = sketch([f"{number:06d}" for number in range(50_000)]).splits(None)
    assert (splits.records, len(splits.keys), len(splits.times)) == (50_000, MOST, MOST)
    for place, key in enumerate(splits.keys, start=1):
        assert abs(int(key) / 50_000 - place / (MOST + 1)) < 0.06


def test_few_records_have_few_quantiles() -> None:
    assert sketch([]).splits(None) == Splits(records=0)
    assert sketch(["a"]).splits(None).keys == ()
    assert sketch(["a", "b", "c"]).splits(None).keys == ("b", "c")


def test_a_record_without_a_time_has_a_key() -> None:
    made = Sketch()
    keys = [(f"{number}",) for number in range(9)]
    made.add([fingerprint(identity(key)) for key in keys], keys, [None] * 9)
    assert made.splits(None).times == ()
    assert len(made.splits(None).keys) == 8
