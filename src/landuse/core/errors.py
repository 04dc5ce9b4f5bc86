"""How a program of this package ends: by a user's mistake, a fault of the machine or a signal in one line, quietly."""

import atexit
import errno
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

_SHOWN = 16  # names that a message lists at most


class UserError(Exception):
    """A mistake the user can mend. The message says what is wrong, where, and what to do."""


class Interrupted(KeyboardInterrupt):
    """A signal ended the work in good order. The message says how to go on."""

    def __init__(self, message: str, signal: int) -> None:
        super().__init__(message)
        self.signal = signal


def did_you_mean(word: str, known: Iterable[str], limit: int = 3) -> str:
    """Return ``"; did you mean 'a' or 'b'?"``, or the whole list when nothing is near."""
    import difflib  # takes half of the time that this module takes to load

    options = sorted(set(known))
    near = difflib.get_close_matches(word, options, n=limit, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(repr(n) for n in near)}?"
    shown = ", ".join(options[:_SHOWN]) + (", ..." if len(options) > _SHOWN else "")
    return f"; known: {shown}"


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a user's mistake, or a machine that lacks disk, memory or permission, into one line and exit code 2.

    SIGINT and SIGTERM end in one line too, with the exit code of shells (128 + signal); so does a reader of the output
    who has gone (``landuse summary | true``), without a line. Anything else is a bug and keeps its traceback.

    Import inside what takes long: a signal may come that early, and OpenMP looks at its environment once.
    """
    # threads that wait turn in circles for a tenth of a millisecond, then sleep: docs/speed.md has what longer costs
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    gc.set_threshold(10_000)  # not 700: importing torch and MLflow makes a million objects, and hardly any garbage
    with _interrupting():
        try:
            try:
                yield
            finally:
                if sys.stdout:
                    sys.stdout.flush()  # what is wrong with the output shows here, and not when Python ends
        except KeyboardInterrupt as stop:
            number = stop.signal if isinstance(stop, Interrupted) else int(signal.SIGINT)
            _leave(128 + number, f"landuse: {str(stop) or _STOPPED}")
        except BrokenPipeError:
            _leave(128 + 13)  # SIGPIPE, which Python ignores and Windows lacks
        except Exception as error:
            line = _fault_of_the_machine(error) or (str(error) if isinstance(error, UserError) else None)
            if line is None:
                raise
            _leave(2, f"landuse: error: {' '.join(line.split())}")


@contextmanager
def program() -> Iterator[None]:
    """``user_errors``, and where all went well the process ends with it, at once.

    Python would free a million objects of torch and MLflow one by one, which takes two seconds; the system takes back
    their memory all the same.
    """
    with user_errors():
        yield
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with suppress(OSError):
            stream.flush()
    os._exit(0)


_STOPPED = "stopped, and nothing is half-written: run the same command again"
_REMEDIES = {
    errno.ENOSPC: "free some space on this disk and run the same command again",
    errno.EDQUOT: "free some of your disk quota and run the same command again",
    errno.EFBIG: "your system limits the size of files (ulimit -f): raise it and run the same command again",
    errno.EACCES: "give yourself permission for it (chmod, chown) and run the same command again",
    errno.EPERM: "give yourself permission for it (chmod, chown) and run the same command again",
    errno.EROFS: "this file system is read-only: work in a copy elsewhere",
    errno.EMFILE: "your system limits the number of open files (ulimit -n): raise it and run the same command again",
}
_NO_MEMORY = ("can't allocate memory", "out of memory")  # torch says it in a RuntimeError


@contextmanager
def _interrupting() -> Iterator[None]:
    """Raise Interrupted at SIGINT and SIGTERM, once; a second one ends the process at once, with no more words."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Python handles signals in the main thread only
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        raise Interrupted(_STOPPED, number)

    def again(lost: "sys.UnraisableHookArgs") -> None:
        if not isinstance(lost.exc_value, Interrupted):
            unraisable(lost)
            return
        # it was raised where Python drops all errors, as in the callback of a weak reference
        signal.signal(lost.exc_value.signal, interrupt)
        threading.Timer(0.01, os.kill, (os.getpid(), lost.exc_value.signal)).start()

    usual = (signal.SIG_DFL, signal.default_int_handler)  # not what is ignored, as by nohup or in a shell's background
    before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in before.items() if handler in usual}
    unraisable, sys.unraisablehook = sys.unraisablehook, again
    for number in before:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = unraisable
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)  # no traceback when it comes while Python ends


def _fault_of_the_machine(error: BaseException) -> str | None:
    """Say what the machine lacks, where that is the reason of an error, or of the one that it was raised from."""
    said = str(error).strip()
    if isinstance(error, OSError) and error.errno in _REMEDIES:
        return f"{error.strerror}: {error.filename or 'while writing'}; {_REMEDIES[error.errno]}"
    if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
        return f"{os.strerror(errno.ENOSPC)}: while writing a database; {_REMEDIES[errno.ENOSPC]}"
    if isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in said for word in _NO_MEMORY)):
        told = f" ({said.splitlines()[0]})" if said else ""
        return f"not enough memory{told}: end other programs, or lower the batch size, and run it again"
    return _fault_of_the_machine(error.__cause__) if error.__cause__ else None


def _leave(code: int, line: str = "") -> NoReturn:
    """End with an exit code and a line; of the processes that torchrun starts on a machine, the first says it."""
    if line and os.environ.get("LOCAL_RANK", "0") == "0":
        with suppress(OSError):  # standard error may be a pipe that broke, too
            print(line, file=sys.stderr)
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:  # let go of it, or Python would try once more, and say so, when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(code) from None
