"""The verified download: resumed where it broke, checked, and only then given its name.

Downloads live under ``.landuse/downloads``, outside the DVC outputs: DVC does not delete them, and queued experiments
share them. A file is there under its name only once it was verified.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from landuse.core.errors import UserError
from landuse.core.paths import repository
from landuse.data.sources.transfer import PATIENCE, Address, RefusedError, say, transfer, version_of

__all__ = ["Address", "fetch"]


def fetch(addresses: Sequence[Address], remedy: str, fault: Callable[[Path], str | None] = lambda _: None) -> Path:
    """Return the local copy of a file, downloading it from the first address that gives it.

    A copy that was downloaded and verified before is returned without touching the network.

    addresses: of the same file, the best first. remedy: what the user can do when none gives it; ends the error's line.
    fault: says what is wrong with the content of a downloaded file, or None.

    Raises UserError: no address gives the file; names each with its reason. Or the disk has no room for it.
    """
    folder = repository() / ".landuse" / "downloads"
    targets = [folder / address.name for address in addresses]
    for target in targets:
        if target.is_file():
            return target
    folder.mkdir(parents=True, exist_ok=True)
    reasons = []
    for address, target in zip(addresses, targets, strict=True):
        try:
            with _locked(target):
                if not target.is_file():  # another process may have brought it meanwhile
                    _download(address, target, fault, PATIENCE / len(addresses))
            return target
        except RefusedError as error:
            reasons.append(f"{address.host}: {error}")
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
    transfer(address, part, patience)
    version_of(part).unlink(missing_ok=True)
    reason = fault(part)
    if address.checksum is not None:
        algorithm, expected = address.checksum.split(":")
        with part.open("rb") as file:
            found = hashlib.file_digest(file, algorithm).hexdigest()
        if found != expected:
            reason = f"wrong content ({algorithm} {found[:12]}..., expected {expected[:12]}...)"
    if reason:
        part.unlink()
        raise RefusedError(reason)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
