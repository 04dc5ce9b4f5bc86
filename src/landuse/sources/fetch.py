"""The verified download: resumed where it broke, checked, and only then given its name.

Downloads live under ``.landuse/downloads``, outside the DVC outputs: DVC does not delete them, and
queued experiments share them. A file is there under its name only once it was verified.
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import requests
from filelock import FileLock, Timeout
from requests import exceptions as http
from tqdm import tqdm

from landuse.errors import UserError

_TRIES = 4  # attempts in a row that bring no new byte
_BACKOFF = 0.5  # seconds before the second attempt; doubles
_LONGEST_WAIT = 60.0  # seconds, whatever Retry-After asks for
_TIMEOUT = (10.0, 60.0)  # seconds to connect, and between two bytes
_CHUNK = 1 << 16  # bytes; what is lost when a connection drops
_TRY_AGAIN = {408, 425, 429, 500, 502, 503, 504}  # HTTP: passing troubles


@dataclass(frozen=True)
class Address:
    """Where a file can be had. checksum: ``sha256:<hex>`` or ``md5:<hex>``, where it is known."""

    url: str
    checksum: str | None = None

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def name(self) -> str:
        """The file's name with a few digits of the address's digest: two servers may use one name."""
        path = PurePosixPath(unquote(urlsplit(self.url).path))
        return f"{path.stem or 'file'}-{hashlib.sha256(self.url.encode()).hexdigest()[:8]}{path.suffix}"


class _RefusedError(Exception):
    """This address does not give the file; the message says why."""


class _BrokenError(Exception):
    """The transfer broke; what has come so far is kept. wait: seconds that the server asked for."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


def root() -> Path:
    """The repository's root: DVC names it, also inside the copies that experiments run in."""
    return Path(os.environ.get("DVC_ROOT", "."))


def fetch(addresses: Sequence[Address], remedy: str, fault: Callable[[Path], str | None] = lambda _: None) -> Path:
    """Return the local copy of a file, downloading it from the first address that gives it.

    A copy that was downloaded and verified before is returned without touching the network.

    Args:
        addresses: of the same file, the best first.
        remedy: what the user can do when none gives it; ends the error's line.
        fault: says what is wrong with the content of a downloaded file, or None.

    Raises:
        UserError: no address gives the file; names each with its reason.
    """
    folder = root() / ".landuse" / "downloads"
    for address in addresses:
        if (folder / address.name).is_file():
            return folder / address.name
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for address in addresses:
        target = folder / address.name
        try:
            with _locked(target):
                if not target.is_file():  # another process may have brought it meanwhile
                    _download(address, target, fault)
            return target
        except _RefusedError as error:
            reasons.append(f"{address.host}: {error}")
    raise UserError(f"cannot download {addresses[0].url} ({'; '.join(reasons)}): {remedy}")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    lock = FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _say(f"waiting for another process that downloads {target.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(address: Address, target: Path, fault: Callable[[Path], str | None]) -> None:
    part = target.with_name(f"{target.name}.part")
    _transfer(address, part)
    _validator_of(part).unlink(missing_ok=True)
    reason = _mismatch(part, address.checksum) or fault(part)
    if reason:
        part.unlink()
        raise _RefusedError(reason)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _mismatch(path: Path, checksum: str | None) -> str | None:
    if checksum is None:
        return None
    algorithm, expected = checksum.split(":")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, algorithm).hexdigest()
    return None if found == expected else f"wrong content ({algorithm} {found[:12]}..., expected {expected[:12]}...)"


def _transfer(address: Address, part: Path) -> None:
    """Bring ``part`` to its full length, over as many connections as it takes."""
    failures = 0
    with requests.Session() as session:
        while True:
            before = _size(part)
            try:
                _get(session, address, part)
                return
            except _BrokenError as error:
                failures = 0 if _size(part) > before else failures + 1
                if failures == _TRIES:
                    raise _RefusedError(str(error)) from None
                time.sleep(max(_BACKOFF * 2 ** max(failures - 1, 0), min(error.wait, _LONGEST_WAIT)))


def _get(session: requests.Session, address: Address, part: Path) -> None:
    """One request: go on where ``part`` ends, or start again where the server does not allow it."""
    have, validator = _size(part), _validator_of(part)
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges count the bytes of the file itself
    if have and (validator.is_file() or address.checksum):
        headers["Range"] = f"bytes={have}-"
        if validator.is_file():
            headers["If-Range"] = validator.read_text(encoding="utf-8")
    try:
        with session.get(address.url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if response.status_code == 416 and _total(response) == have:
                return  # all of it had come before
            _check(response, have, part)
            if response.status_code == 200:
                _start_again(response, part)
            _append(response, address, part)
    except (http.InvalidURL, http.InvalidSchema, http.MissingSchema, http.TooManyRedirects) as error:
        raise _RefusedError(str(error)) from None
    except http.SSLError:
        raise _RefusedError("its TLS certificate is not accepted") from None
    except requests.RequestException as error:
        raise _BrokenError(_plain(error)) from None


def _check(response: requests.Response, have: int, part: Path) -> None:
    status = response.status_code
    if status in _TRY_AGAIN:
        wait = response.headers.get("Retry-After", "")
        raise _BrokenError(f"HTTP {status} {response.reason}", float(wait) if wait.isdigit() else 0.0)
    if status == 416 or (status == 206 and _range_start(response) != have):
        part.unlink()
        raise _BrokenError("the server's file does not fit the part that came before")
    if status not in (200, 206):
        raise _RefusedError(f"HTTP {status} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise _RefusedError("it answers with a web page, not with the file")


def _start_again(response: requests.Response, part: Path) -> None:
    """Empty ``part`` and note the server's name for this version of the file, for If-Range."""
    part.unlink(missing_ok=True)
    tag = response.headers.get("ETag", "")
    version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified")
    if version:
        _validator_of(part).write_text(version, encoding="utf-8")
    else:
        _validator_of(part).unlink(missing_ok=True)


def _append(response: requests.Response, address: Address, part: Path) -> None:
    total, have = _total(response), _size(part)
    length = f" ({total / 1e6:,.1f} MB)" if total else ""
    resumed = f", going on at {have / 1e6:,.1f} MB" if have else ""
    _say(f"downloading {part.name.removesuffix('.part')}{length} from {address.host}{resumed}")
    progress = tqdm(total=total, initial=have, unit="B", unit_scale=True, disable=None, mininterval=0.5)
    with progress, part.open("ab") as file:
        for chunk in response.iter_content(_CHUNK):
            file.write(chunk)
            progress.update(len(chunk))
    if total is not None and _size(part) != total:
        raise _BrokenError(f"the connection broke at byte {_size(part):,} of {total:,}")


def _total(response: requests.Response) -> int | None:
    """The length in bytes of the whole file, where the server tells it."""
    whole = response.headers.get("Content-Range", "").rpartition("/")[2]
    length = whole or ("" if response.status_code == 206 else response.headers.get("Content-Length", ""))
    return int(length) if length.isdigit() else None


def _range_start(response: requests.Response) -> int | None:
    start = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else None


def _plain(error: requests.RequestException) -> str:
    if isinstance(error, http.Timeout):
        return "no answer in time"
    if isinstance(error, http.ProxyError):
        return "the proxy refuses the connection"
    if isinstance(error, http.ChunkedEncodingError):
        return "the connection broke"
    if "NameResolutionError" in str(error):
        return "host name not found (offline?)"
    return "no connection"


def _validator_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.version")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _say(line: str) -> None:
    print(f"landuse: {line}", file=sys.stderr)
