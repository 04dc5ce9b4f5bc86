"""The verified download: resumed where it broke, checked, and only then given its name.

Downloads live under ``.landuse/downloads``, outside the DVC outputs: DVC does not delete them, and
queued experiments share them. A file is there under its name only once it was verified.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from landuse.core.errors import UserError
from landuse.core.paths import repository
from landuse.data.sources.transfer import PATIENCE, RefusedError, host, say, transfer, version_of


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


def fetch(addresses: Sequence[Address], remedy: str, fault: Callable[[Path], str | None] = lambda _: None) -> Path:
    """Return the local copy of a file, downloading it from the first address that gives it.

    A copy that was downloaded and verified before is returned without touching the network.

    Args:
        addresses: of the same file, the best first.
        remedy: what the user can do when none gives it; ends the error's line.
        fault: says what is wrong with the content of a downloaded file, or None.

    Raises UserError: no address gives the file; names each with its reason.
    """
    folder = repository() / ".landuse" / "downloads"
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
                    _download(address, target, fault, PATIENCE / len(addresses))
            return target
        except RefusedError as error:
            reasons.append(f"{host(address.url)}: {error}")
    raise UserError(f"cannot download {addresses[0].url} ({'; '.join(reasons)}): {remedy}")


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    lock = FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"waiting for another process that downloads {target.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(address: Address, target: Path, fault: Callable[[Path], str | None], patience: float) -> None:
    part = target.with_name(f"{target.name}.part")
    transfer(address.url, part, address.checksum is not None, patience)
    version_of(part).unlink(missing_ok=True)
    reason = _mismatch(part, address.checksum) or fault(part)
    if reason:
        part.unlink()
        raise RefusedError(reason)
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
