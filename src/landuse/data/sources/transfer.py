"""One file from one address: over several connections where it must be, and never without end.

No timeout of a socket bounds a server that sends a byte now and then, be it of its header or of the file. So every
wait runs in a thread of its own, which is left behind when its time is over.
"""

import hashlib
import re
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException, responses
from pathlib import Path, PurePosixPath
from threading import Thread
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import requests
from requests import exceptions as http
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError
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


@dataclass(frozen=True)
class Address:
    """Where a file can be had. checksum: ``sha256:<hex>`` or ``md5:<hex>``, where it is known."""

    url: str
    checksum: str | None = None

    @property
    def name(self) -> str:
        """The file's name with a few digits of the address's digest: two servers may use one name."""
        path = PurePosixPath(unquote(urlsplit(self.url).path))
        digest = hashlib.sha256(self.url.encode()).hexdigest()[:8]
        return re.sub(r"[^A-Za-z0-9._-]+", "_", f"{path.stem[:60] or 'file'}-{digest}{path.suffix[:10]}")

    @property
    def host(self) -> str:
        """The server and its port; a password in the address is nobody's business."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


@dataclass
class _Progress:
    """The most bytes that any attempt reached, and when. A part that was thrown away counts."""

    best: int
    since: float

    def reach(self, size: int) -> None:
        if size > self.best:
            self.best, self.since = size, time.monotonic()


def transfer(address: Address, part: Path, patience: float) -> None:
    """Bring ``part`` to its full length; what an earlier run left in it is gone on with where that is safe.

    patience: seconds without a byte that no earlier attempt had brought.

    Raises RefusedError: the address does not give the file; what came is kept where it may be gone on with.
    """
    say(f"asking {address.host} for {part.name.removesuffix('.part')}")
    progress, fruitless = _Progress(0, time.monotonic()), 0
    for attempt in range(1, _ATTEMPTS + 1):
        before = progress.best
        try:
            _get(address, part, progress)
            return
        except _BrokenError as error:
            fruitless = 0 if progress.best > before else fruitless + 1
            wait = max(_BACKOFF * 2 ** max(fruitless - 1, 0), error.wait)
            too_late = time.monotonic() + wait > progress.since + patience - _STALL  # silence would last too long
            if attempt == _ATTEMPTS or fruitless == _FRUITLESS or too_late:
                kept = f"; {_size(part) / 1e6:,.1f} MB are kept for the next run" if _joins(address, part) else ""
                raise RefusedError(f"{error} (attempt {attempt}){kept}") from None
            say(f"{address.host}: {error}; attempt {attempt + 1} of {_ATTEMPTS} follows in {wait:.1f} s")
            time.sleep(wait)


def _get(address: Address, part: Path, progress: _Progress) -> None:
    """One request: go on where ``part`` ends, or start again where the server does not allow it."""
    have, version = _size(part), version_of(part)
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges count the bytes of the file itself
    if _joins(address, part):
        headers["Range"] = f"bytes={have}-"
        if version.is_file():
            headers["If-Range"] = version.read_text(encoding="utf-8")
    deadline = time.monotonic() + _STALL
    with requests.Session() as session:
        session.max_redirects = _REDIRECTS
        with _answer(lambda: session.get(address.url, headers=headers, stream=True, timeout=_STALL)) as response:
            start, total = _place(response)
            if have and response.status_code == 416 and total == have:
                return  # all of it had come before
            _check(response, start == have, part)
            if response.status_code == 200:
                _start_again(response, part)
            _append(response, part, address.host, total, progress, deadline)


def _joins(address: Address, part: Path) -> bool:
    """Whether what has come can be gone on with: two versions of a file must never be joined unnoticed."""
    return _size(part) > 0 and (version_of(part).is_file() or address.checksum is not None)


def version_of(part: Path) -> Path:
    """The file that keeps the server's name for the version of the file that ``part`` belongs to."""
    return part.with_name(f"{part.name}.version")


def _answer(get: Callable[[], requests.Response]) -> requests.Response:
    try:
        return _within(_STALL, get)
    except (TimeoutError, http.Timeout):
        raise _BrokenError(f"no answer within {_STALL:.0f} s") from None
    except http.TooManyRedirects:
        raise RefusedError(f"it redirects more than {_REDIRECTS} times") from None
    except http.InvalidProxyURL:
        raise RefusedError("the address of the proxy cannot be read") from None
    except (http.InvalidURL, http.InvalidSchema, http.MissingSchema, UnicodeError):
        raise RefusedError("the address, or one that it redirects to, is no address of the web") from None
    except http.SSLError:
        raise RefusedError("its TLS certificate is not accepted") from None
    except (requests.RequestException, HTTPError) as error:
        raise _BrokenError(_passing(error)) from None


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


def _check(response: requests.Response, fits: bool, part: Path) -> None:
    """Refuse what is not the file. fits: whether the answer begins where ``part`` ends."""
    status = response.status_code
    told = f"HTTP {status} {responses.get(status, '')}".rstrip()
    if status in _TRY_AGAIN:
        wait = 0.0
        with suppress(HTTPError, ValueError, OverflowError):  # neither a number nor a date (RFC 9110, 10.2.3)
            wait = float(Retry().parse_retry_after(response.headers.get("Retry-After", "")))
        raise _BrokenError(f"{told}, it asks to wait {wait:,.0f} s" if wait else told, wait)
    if status == 416 or (status == 206 and not fits):
        part.unlink(missing_ok=True)
        raise _BrokenError("the server's file does not fit the part that came before")
    if status not in (200, 206):
        raise RefusedError(told)
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise RefusedError("it answers with a web page, not with the file")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise RefusedError("it sends the file compressed, which was not asked for: its length cannot be checked")


def _start_again(response: requests.Response, part: Path) -> None:
    """Empty ``part`` and note the server's name for this version of the file, for If-Range."""
    part.unlink(missing_ok=True)
    tag = response.headers.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    version_of(part).unlink(missing_ok=True)
    if version:
        version_of(part).write_text(version, encoding="utf-8")


def _append(
    response: requests.Response, part: Path, host: str, total: int | None, progress: _Progress, deadline: float
) -> None:
    """Write the answer behind ``part``. total: bytes of the file. deadline: of the first chunk, monotonic clock."""
    have, longest = _size(part), _LONGEST_UNTOLD if total is None else total
    free = shutil.disk_usage(part.parent).free
    if total and total - have > free:
        raise UserError(
            f"the download takes {(total - have) / 1e6:,.0f} MB, but the disk of {part.parent} has {free / 1e6:,.0f} "
            "MB left: free some space and run the same command again"
        )
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
            if file.tell() > longest:
                part.unlink()
                raise RefusedError(f"it sends more than {longest:,} bytes")
    if total is not None and _size(part) != total:
        raise _BrokenError(f"the connection broke at byte {_size(part):,} of {total:,}")


def _chunk(response: requests.Response, deadline: float) -> bytes:
    try:
        return _within(deadline - time.monotonic(), lambda: bytes(response.raw.read(_CHUNK)))
    except (TimeoutError, ReadTimeoutError):  # the socket waits as long as we do: either may be first
        with suppress(OSError, RuntimeError):  # unless its read has ended, and let go of the connection, in this moment
            response.raw.shutdown()  # wakes the thread that reads: closing would wait for it
        raise _BrokenError(f"fewer than {_CHUNK:,} bytes within {_STALL:.0f} s") from None
    except (OSError, HTTPError):
        raise _BrokenError("the connection broke") from None


def _place(response: requests.Response) -> tuple[int | None, int | None]:
    """The first byte of the answer, and the length in bytes of the whole file, where the server tells them."""
    place, _, whole = response.headers.get("Content-Range", "").removeprefix("bytes ").rpartition("/")
    if not whole and response.status_code != 206:
        whole = response.headers.get("Content-Length", "")
    texts = (place.partition("-")[0], whole)
    start, total = (int(t) if t.isascii() and t.isdigit() and len(t) < 20 else None for t in texts)
    return start, total


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def say(line: str) -> None:
    print(f"landuse: {line}", file=sys.stderr)
