"""Keeps descriptors 0, 1 and 2 from being given to a shard or a socket."""

from __future__ import annotations

import os


def fill_closed_descriptors() -> None:
    """Open the null device on each standard descriptor that is closed (FAULTS R08). First thing in a process.

    The next file to be opened would get the free number, and a message meant for standard error would be written into
    it. uvloop ends the process when it is asked to close such a file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
