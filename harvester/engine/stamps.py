"""What a walk puts in front of every record it brings."""

from __future__ import annotations

from harvester.decode.lines import make_stamp
from harvester.model import Walk

LOCALE = "_locale"  # Centris contract, section 8: a record says in which language its values are


def stamp_of(walk: Walk) -> bytes:
    """What is spliced into every record of *walk*: its language, or the value of its parent under the declared name."""
    if walk.value is None:
        return b""
    if walk.resource.by_language:
        return make_stamp([(LOCALE, walk.value)])
    return b"" if walk.resource.per_value is None else make_stamp([(walk.resource.per_value.stamp, walk.value)])
