"""One file from one address: over several connections where it must be, and never without end.

No timeout of a socket bounds a server that sends a byte now and then, be it of its header or of the file. So every
wait runs in a thread of its own, which is left behind when its time is over.
"""

import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, responses
from pathlib import Path
from threading import Thread
from typing import TypeVar
from urllib.parse import urlsplit

import requests
from requests import exceptions as http
from tqdm import tqdm
from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from landuse.core.errors import UserError

PATIENCE = 60.0  # seconds: no later after the last useful byte it is over, for all addresses of a file together
_ATTEMPTS = 10  # connections to one address
_FRUITLESS = 4  # of these in a row that come no further than an earlier one
_STALL = 12.0  # seconds for the answer with its first chunk, and for each chunk after it: 5 kB/s at least
_BACKOFF = 0.5  # seconds before the second attempt; doubles
_CHUNK = 1 << 16  # bytes; what is lost when a connection drops
_REDIRECTS = 5
_LONGEST_UNTOLD = 10 * 10**9  # bytes of a file whose server does not tell its length
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # HTTP: passing troubles

T = TypeVar("T")


class RefusedError(Exception):
    """This address does not give the file; the message says why."""


class _BrokenError(Exception):
    """The transfer broke; what has come so far is kept. wait: seconds that the server asked for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass
class _Progress:
    """The most bytes that any attempt reached, and when. A part that was thrown away counts."""

    best: int
    since: float

    def reach(self, size: int) -> None:
        if size > self.best:
            self.best, self.since = size, time.monotonic()


def transfer(url: str, part: Path, may_join: bool, patience: float) -> None:
    """Bring ``part`` to its full length.

    Args:
        url: http:// or https://.
        part: the file to write; what an earlier run left in it is gone on with where that is safe.
        may_join: bytes may be put behind those of an earlier connection although the server names no version
            of its file, since a checksum will tell.
        patience: seconds without a byte that no earlier attempt had brought.

    Raises:
        RefusedError: the address does not give the file; what came is kept where it may be gone on with.
        UserError: the disk has no room for the file.
    """
    say(f"asking {host(url)} for {part.name.removesuffix('.part')}")
    progress, fruitless = _Progress(0, time.monotonic()), 0
    for attempt in range(1, _ATTEMPTS + 1):
        before = progress.best
        try:
            _get(url, part, may_join, progress)
            return
        except _BrokenError as error:
            fruitless = 0 if progress.best > before else fruitless + 1
            wait = max(_BACKOFF * 2 ** max(fruitless - 1, 0), error.wait)
            too_late = time.monotonic() + wait > progress.since + patience - _STALL  # silence would last too long
            if attempt == _ATTEMPTS or fruitless == _FRUITLESS or too_late:
                kept = f"; {_size(part) / 1e6:,.1f} MB are kept for the next run" if _joins(part, may_join) else ""
                raise RefusedError(f"{error} (attempt {attempt}){kept}") from None
            say(f"{host(url)}: {error}; attempt {attempt + 1} of {_ATTEMPTS} follows in {wait:.1f} s")
            time.sleep(wait)


def host(url: str) -> str:
    """The server and its port; a password in the address is nobody's business."""
    return urlsplit(url).netloc.rpartition("@")[2]


def version_of(part: Path) -> Path:
    """The file that keeps the server's name for the version of the file that ``part`` belongs to."""
    return part.with_name(f"{part.name}.version")


def _get(url: str, part: Path, may_join: bool, progress: _Progress) -> None:
    """One request: go on where ``part`` ends, or start again where the server does not allow it."""
    have, version = _size(part), version_of(part)
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges count the bytes of the file itself
    if _joins(part, may_join):
        headers["Range"] = f"bytes={have}-"
        if version.is_file():
            headers["If-Range"] = version.read_text(encoding="utf-8")
    deadline = time.monotonic() + _STALL
    with requests.Session() as session:
        session.max_redirects = _REDIRECTS
        with _answer(lambda: session.get(url, headers=headers, stream=True, timeout=_STALL)) as response:
            if have and response.status_code == 416 and _total(response) == have:
                return  # all of it had come before
            _check(response, have, part)
            if response.status_code == 200:
                _start_again(response, part)
            _append(response, part, host(url), progress, deadline)


def _joins(part: Path, may_join: bool) -> bool:
    """Whether what has come can be gone on with: bytes of two versions of a file must never be joined unnoticed."""
    return _size(part) > 0 and (version_of(part).is_file() or may_join)


def _answer(get: Callable[[], requests.Response]) -> requests.Response:
    try:
        return _within(_STALL, get)
    except (TimeoutError, http.Timeout):
        raise _BrokenError(f"no answer within {_STALL:.0f} s") from None
    except (requests.RequestException, HTTPError, UnicodeError) as error:
        final = next((reason for kind, reason in _FINAL if isinstance(error, kind)), None)
        raise (RefusedError(final) if final else _BrokenError(_passing(error))) from None


_FINAL: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (http.TooManyRedirects, f"it redirects more than {_REDIRECTS} times"),
    (http.InvalidProxyURL, "the address of the proxy cannot be read"),
    (
        (http.InvalidURL, http.InvalidSchema, http.MissingSchema, UnicodeError),
        "the address, or one that it redirects to, is no address of the web",
    ),
    (http.SSLError, "its TLS certificate is not accepted"),
)


def _passing(error: BaseException) -> str:
    """Why there is no answer, in plain words."""
    if isinstance(error, http.ProxyError):
        return "the proxy refuses the connection"
    if "NameResolutionError" in str(error):
        return "host name not found (offline?)"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ConnectionError):
            return "no connection" if isinstance(cause, ConnectionRefusedError) else "it ends the connection"
        if isinstance(cause, HTTPException | http.InvalidHeader):
            return "its answer is no HTTP"
        cause = cause.__cause__ or cause.__context__
    return "no connection"


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Do work that may block, for so long at most; then leave it behind and raise TimeoutError."""
    done: Future[T] = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # it belongs to the one who waits
            done.set_exception(error)

    Thread(target=run, name="download", daemon=True).start()
    return done.result(max(seconds, 0.0))


def _check(response: requests.Response, have: int, part: Path) -> None:
    status = response.status_code
    told = f"HTTP {status} {responses.get(status, '')}".rstrip()
    if status in _TRY_AGAIN:
        wait = _pause(response.headers.get("Retry-After", ""))
        raise _BrokenError(f"{told}, it asks to wait {wait:,.0f} s" if wait else told, wait)
    if status == 416 or (status == 206 and _range_start(response) != have):
        part.unlink(missing_ok=True)
        raise _BrokenError("the server's file does not fit the part that came before")
    if status not in (200, 206):
        raise RefusedError(told)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise RefusedError("it answers with a web page, not with the file")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("it sends the file compressed, which was not asked for: its length cannot be checked")


def _pause(retry_after: str) -> float:
    """Seconds that Retry-After asks for: a number or a date (RFC 9110, 10.2.3); 0 where it is neither."""
    try:
        return float(Retry().parse_retry_after(retry_after))
    except (HTTPError, ValueError, OverflowError):
        return 0.0


def _start_again(response: requests.Response, part: Path) -> None:
    """Empty ``part`` and note the server's name for this version of the file, for If-Range."""
    part.unlink(missing_ok=True)
    tag = response.headers.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    if version:
        version_of(part).write_text(version, encoding="utf-8")
    else:
        version_of(part).unlink(missing_ok=True)


def _append(response: requests.Response, part: Path, host: str, progress: _Progress, deadline: float) -> None:
    """Write the answer behind ``part``. deadline: of the first chunk, on the monotonic clock."""
    total, have = _total(response), _size(part)
    _refuse_larger_than_disk(part, (total or 0) - have)
    length = f" ({total / 1e6:,.1f} MB)" if total else ""
    resumed = f", going on at {have / 1e6:,.1f} MB" if have else ""
    say(f"downloading {part.name.removesuffix('.part')}{length} from {host}{resumed}")
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, disable=None, mininterval=0.5)
    with bar, part.open("ab") as file:
        while chunk := _chunk(response, deadline):
            deadline = time.monotonic() + _STALL
            file.write(chunk)
            bar.update(len(chunk))
            progress.reach(file.tell())
            if file.tell() > (_LONGEST_UNTOLD if total is None else total):
                part.unlink()
                raise RefusedError(f"it sends more than {_LONGEST_UNTOLD if total is None else total:,} bytes")
    if total is not None and _size(part) != total:
        raise _BrokenError(f"the connection broke at byte {_size(part):,} of {total:,}")


def _chunk(response: requests.Response, deadline: float) -> bytes:
    try:
        return _within(deadline - time.monotonic(), lambda: bytes(response.raw.read(_CHUNK)))
    except TimeoutError:
        with suppress(OSError, RuntimeError):  # unless its read has ended, and let go of the connection, in this moment
            response.raw.shutdown()  # wakes the thread that reads: closing would wait for it
        raise _BrokenError(f"fewer than {_CHUNK:,} bytes within {_STALL:.0f} s") from None
    except (OSError, HTTPError):
        raise _BrokenError("the connection broke") from None


def _refuse_larger_than_disk(part: Path, size: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if size > free:
        raise UserError(
            f"the download takes {size / 1e6:,.0f} MB, but the disk of {part.parent} has {free / 1e6:,.0f} MB left: "
            "free some space and run the same command again"
        )


def _total(response: requests.Response) -> int | None:
    """The length in bytes of the whole file, where the server tells it."""
    whole = response.headers.get("Content-Range", "").rpartition("/")[2]
    length = whole or ("" if response.status_code == 206 else response.headers.get("Content-Length", ""))
    return _number(length)


def _range_start(response: requests.Response) -> int | None:
    return _number(response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def say(line: str) -> None:
    """Tell the user what is going on, on standard error."""
    print(f"landuse: {line}", file=sys.stderr)
