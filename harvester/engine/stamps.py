"""What a walk puts in front of every record it brings."""

from __future__ import annotations

from harvester.decode.lines import make_stamp
from harvester.model import Walk


def stamp_of(walk: Walk) -> bytes:
    """What is spliced into every record of *walk*: the value of its parent, under the declared name."""
    if walk.resource.per_value is None or walk.value is None:
        return b""
    return make_stamp([(walk.resource.per_value.stamp, walk.value)])
