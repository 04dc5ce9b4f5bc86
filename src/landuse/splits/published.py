"""A split by published lists, so that results can be compared with those of papers."""

import hashlib
import re
from pathlib import Path

import pandas as pd
import requests

from landuse.errors import UserError
from landuse.params import PARTS, Published, PublishedList

_NAME = re.compile(r"[\w.-]+_\d+(?=\.\w+|\s|$)")  # <Class>_<n>, whatever stands around it on the line


def deal(known: pd.DataFrame, lists: Published) -> "pd.Series[str]":
    """Look every tile up in the lists; return its part, "unlisted" for one in no list.

    A line names a tile by ``<Class>_<n>``, with or without folder and extension: torchgeo's lists and those of
    CoOp-style papers both do. Listed tiles that the data lacks (a part of EuroSAT) are left out.

    Raises:
        UserError: a list is missing, is not the expected one, names a tile of another list, or matches nothing.
    """
    stems = known["file"].map(lambda file: Path(file).stem)
    parts = pd.Series("unlisted", index=known.index, dtype="str")
    seen: dict[str, str] = {}
    for part in PARTS:
        listed = _names(part, getattr(lists, part))
        for name in listed:
            if seen.setdefault(name, part) != part:
                raise UserError(f"split.published: {name} is in the lists of both {seen[name]} and {part}")
        found = stems.isin(set(listed))
        if not found.any():
            raise UserError(f"split.published.{part}: none of the {len(listed)} listed tiles is in the data")
        parts[found] = part
    return parts


def _names(part: str, source: PublishedList) -> list[str]:
    if source.list is None:
        raise UserError(
            f"split.method is 'published', but split.published.{part}.list is empty: give a list file or URL"
        )
    content = _read(part, source.list)
    digest = hashlib.sha256(content).hexdigest()
    if source.sha256 not in (None, digest):
        raise UserError(
            f"split.published.{part}: {source.list} is not the expected list (SHA-256 {digest}): "
            "fetch it again, or correct the sha256 beside it"
        )
    names = [match.group() for line in content.decode("utf-8", "replace").splitlines() if (match := _NAME.search(line))]
    if not names:
        raise UserError(f"split.published.{part}: {source.list} names no tile (<Class>_<number> on each line)")
    return names


def _read(part: str, source: str) -> bytes:
    if source.startswith(("http://", "https://")):
        try:
            response = requests.get(source, timeout=30)
            response.raise_for_status()
        except requests.RequestException as error:
            raise UserError(
                f"split.published.{part}: {source} cannot be fetched ({type(error).__name__}): "
                "check the address and the network, or save the list and give its path"
            ) from None
        return response.content
    path = Path(source.removeprefix("file://"))
    if not path.is_file():
        raise UserError(f"split.published.{part}: no list at {source}")
    return path.read_bytes()
