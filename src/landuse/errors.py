"""What a user's mistake looks like: one line on standard error and exit code 2."""

import difflib
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class UserError(Exception):
    """A mistake the user can mend. The message says what is wrong, where, and what to do."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the work in good order. The message says how to go on."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


def did_you_mean(word: str, known: Iterable[str], limit: int = 3) -> str:
    """Return ``"; did you mean 'a' or 'b'?"``, or the whole list when nothing is near."""
    options = sorted(set(known))
    near = difflib.get_close_matches(word, options, n=limit, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(repr(n) for n in near)}?"
    shown = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
    return f"; known: {shown}"


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a user's mistake, or a disk that refuses to write, into one line and exit code 2.

    A signal's end is one line too, with the exit code of shells (128 + signal). Anything else is a bug and keeps
    its traceback.
    """
    try:
        yield
    except UserError as error:
        _leave(" ".join(str(error).split()))
    except Interrupted as stop:
        _say(f"landuse: {stop}")
        raise SystemExit(128 + stop.signal) from None
    except OSError as error:
        remedy = _DISK_REMEDIES.get(error.errno or 0)
        if remedy is None:
            raise
        _leave(f"{error.strerror}: {error.filename or 'while writing'}; {remedy}")


_DISK_REMEDIES = {
    errno.ENOSPC: "free some space on this disk and run the same command again",
    errno.EDQUOT: "free some of your disk quota and run the same command again",
    errno.EFBIG: "your system limits the size of files (ulimit -f): raise it and run the same command again",
    errno.EACCES: "give yourself permission for it (chmod, chown) and run the same command again",
    errno.EPERM: "give yourself permission for it (chmod, chown) and run the same command again",
    errno.EROFS: "this file system is read-only: work in a copy elsewhere",
}


def _leave(line: str) -> None:
    _say(f"landuse: error: {line}")
    raise SystemExit(2) from None


def _say(line: str) -> None:
    """Print to standard error; of the processes that torchrun starts on a machine, the first speaks for all."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        print(line, file=sys.stderr)
