"""The records that the runs of a resource hold together, by what they say, for a sweep that compares whole records."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby, islice
from operator import itemgetter
from pathlib import PurePath

from harvester.contracts import Fs
from harvester.decode.heads import HeadReader
from harvester.engine.listing import marks
from harvester.engine.stamps import stamp_of
from harvester.engine.state import Run
from harvester.engine.view import CurrentState, Layers
from harvester.store.key_table import KeyTable
from harvester.store.keys import fingerprint, identity
from harvester.store.runs import RunDirectory

_AT_A_TIME = 1000  # lines


def load_whole_state(
    fs: Fs, runs: Sequence[Run], values: Collection[str | None], table: KeyTable, scratch: PurePath
) -> None:
    """Put what *runs*, oldest first, hold into *table*: of each key the version that ``view`` shows. Blocking.

    Args:
        values: of the parent as it is now; what belongs to one that has gone is left out, it is not judged.
        scratch: a directory that is made, and removed again.
    """
    fs.remove_tree(scratch)  # what a dead process has left
    fs.make_directory(scratch, private=True)
    try:
        filled = [(path, manifest) for path, manifest in runs if manifest.shards]
        layers = Layers(
            runs=tuple(RunDirectory(manifest.run, path, finished=True) for path, manifest in filled),
            manifests=tuple(manifest for _, manifest in filled),
            grounded=True,
        )
        state = CurrentState(fs, layers, scratch)
        state.settle()
        for walk, pairs in groupby(state.records_with_walks(), key=itemgetter(0)):
            if walk.value not in values:
                continue
            stamp, reader = stamp_of(walk), HeadReader(walk.resource)
            scope = () if walk.value is None else (walk.value,)
            while batch := [line for _, line in islice(pairs, _AT_A_TIME)]:
                columns = reader.read_page(batch)
                said = [b"{" + line[len(stamp) :] if line.startswith(stamp) and stamp else line for line in batch]
                names = [identity((*scope, *(key or ()))) for key in columns.keys]  # ``view`` has refused what has none
                table.put(list(map(fingerprint, names)), names, marks(columns.times, said))
    finally:
        fs.remove_tree(scratch)
