"""Masked members of Spark records: ``"********"`` means "not visible for this role", in fields of any type.

Their names are stamped into the record as ``_masked``, so that nobody takes the asterisks for a value or lets them
replace a known one (Spark contract, section 9).
"""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct, field

from harvester.decode.lines import make_stamp, put_stamp

_LITERAL = b'"********"'


class _Record(Struct):
    fields: dict[str, Raw] = field(name="StandardFields", default_factory=dict)


_decode = msgspec.json.Decoder(_Record).decode


def stamp_masked(record: Raw) -> Raw:
    """*record* with ``"_masked":[names]`` in front, in the order of ``StandardFields``; unchanged without masks."""
    text = bytes(record)
    if _LITERAL not in text:  # the cheap look; most roles see most fields
        return record
    try:
        fields = _decode(text).fields
    except msgspec.ValidationError:  # StandardFields is not an object: nothing is masked inside it
        return record
    names = [name for name, value in fields.items() if bytes(value) == _LITERAL]
    return Raw(put_stamp(make_stamp([("_masked", names)]), text)) if names else record
