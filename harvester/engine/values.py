"""The values of a parent resource, one walk of the child each; read from what is on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

import msgspec

from harvester.contracts import Fs
from harvester.errors import ProtocolError
from harvester.model import PerValue
from harvester.store.manifest import read_manifest
from harvester.store.shards import read_lines


def values_of(fs: Fs, parent_run: PurePath, per_value: PerValue) -> tuple[str, ...]:
    """Distinct values of ``per_value.member`` in the parent's finished run, as text, in the order they were written.

    Raises:
        ProtocolError: a record of the parent holds something else than a string or an integer there. Records
            without the member are passed over: they name nothing to walk.
    """
    return tuple(dict.fromkeys(_values(fs, parent_run, per_value)))


def _values(fs: Fs, parent_run: PurePath, per_value: PerValue) -> Iterator[str]:
    manifest = read_manifest(fs, parent_run)
    if manifest is None:
        return
    decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
    for entry in manifest.shards:
        if not entry.path.startswith("part-"):
            continue
        for line in read_lines(fs, parent_run / entry.path):
            raw = decode(line).get(per_value.member)
            if raw is None:
                continue
            value = msgspec.json.decode(raw)
            if isinstance(value, str) and value:
                yield value
            elif isinstance(value, int) and not isinstance(value, bool):
                yield str(value)
            elif value is not None and value != "":
                raise ProtocolError(
                    f"{per_value.resource}.{per_value.member} is neither text nor an integer in {entry.path}; "
                    "the resources that depend on it cannot be walked"
                )
