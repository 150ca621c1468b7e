"""How a command ends: the message for the user and the exit status."""

from __future__ import annotations

import errno
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from cyclopts import CycloptsError, UnusedCliTokensError

from harvester.errors import CannotCreate, HarvesterError, Locked, MendError, StorageError
from harvester.report.printable import printable

BUG = 70
READER_GONE = 141  # 128 + SIGPIPE: the reader of standard output went away
WRONG_ARGUMENTS = 2
INTERRUPTED = 130


def end(error: BaseException, stderr: TextIO, *, debug: bool) -> int:
    """Tell the user what *error* means for them. Returns the exit status.

    One paragraph, no traceback unless *debug*. What came from outside is escaped.
    """
    cause = deciding(error)
    status, message = _verdict(cause)
    lines = [message] if message else []
    lines += [printable(note) for note in getattr(cause, "__notes__", ())]
    if cause is not error:
        lines += [printable(note) for note in getattr(error, "__notes__", ())]
    if debug:
        lines.insert(0, _traceback(error))
    try:
        for line in lines:
            stderr.write(f"{line}\n")
        stderr.flush()
    except (OSError, ValueError):
        pass  # nobody is left to be told; the status still says it
    return status


GO_ON = "the same command goes on from there"


@contextmanager
def saved_in(out: str, then: str = GO_ON) -> Iterator[None]:
    """An error that comes while work is done says where the work is, and what to do *then*.

    Errors that a person must mend first come before any work, and say themselves what to do.
    """
    try:
        yield
    except (MendError, CannotCreate, Locked):
        raise
    except Exception as exc:
        exc.add_note(f"What was committed is safe in {out}; {then}.")
        raise


def deciding(error: BaseException) -> BaseException:
    """The error that decides: of a group, the first that is ours; else the first."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = [deciding(part) for part in error.exceptions]
    ours = [leaf for leaf in leaves if isinstance(leaf, HarvesterError)]
    bugs = [leaf for leaf in leaves if not isinstance(leaf, HarvesterError)]
    # A bug is told before a refusal: the refusal will come back, the bug may not.
    return (bugs or ours)[0]


def _verdict(error: BaseException) -> tuple[int, str]:
    match error:
        case HarvesterError():
            return error.exit_status, f"harvester: {printable(str(error))}"
        case UnusedCliTokensError():
            surplus = " ".join(error.unused_tokens or ())
            return (
                WRONG_ARGUMENTS,
                f"harvester: too many arguments: {printable(surplus)}\nTry --help after the command.",
            )
        case CycloptsError():
            return WRONG_ARGUMENTS, f"harvester: {printable(str(error))}\nTry --help after the command."
        case BrokenPipeError():
            return READER_GONE, ""
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EIO | errno.EFBIG):
            # The output directory is behind a port that says more: this is a standard stream.
            return StorageError.exit_status, f"harvester: standard output cannot be written ({error.strerror})."
        case KeyboardInterrupt():
            return INTERRUPTED, "harvester: interrupted"
        case MemoryError():
            return BUG, "harvester: out of memory. Lower in_flight or page_size, and run the same command again."
    name = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    text = printable(name, 300)
    return BUG, f"harvester: this is a bug, please report it with the output of --debug ({text})."


def _traceback(error: BaseException) -> str:
    """Without local variables, which could be secrets; each line escaped."""
    lines = "".join(traceback.format_exception(error)).splitlines()
    return "\n".join(printable(line) for line in lines)
