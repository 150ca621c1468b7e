"""The output directory is tried before the first request, not after the last (FAULTS F09)."""

from __future__ import annotations

from pathlib import PurePath

from harvester.contracts import Fs
from harvester.errors import CannotCreate, StorageError
from harvester.store.layout import state_directory

_PROBE = ".writable"


def prepare_output(fs: Fs, out: PurePath) -> None:
    """Create *out* and its private state directory, and prove that both can be written as a run will write them.

    Raises:
        CannotCreate: a directory cannot be made or written, has no hard links, or the state directory is a link or
            belongs to somebody else (FAULTS E08). The message names it, the cause and what to do.
    """
    state = state_directory(out)
    try:
        fs.make_directory(out)
        fs.make_directory(state, private=True)
        for directory in (out, state):
            probe = directory / _PROBE
            fs.remove(probe)  # of a run that was killed right here
            fs.create_if_absent(probe, b"harvester was here\n")
            fs.remove(probe)
    except CannotCreate:
        raise
    except StorageError as error:
        raise CannotCreate(str(error)) from error
