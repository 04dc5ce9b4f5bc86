"""A split by published lists, so that results can be compared with those of papers."""

import hashlib
import re
import sys

import pandas as pd

from landuse.core.errors import UserError
from landuse.data.sources.archive import local
from landuse.data.sources.fetch import Address, fetch
from landuse.data.sources.images import stem
from landuse.params import PARTS, Published, PublishedList

_NUMBERS = re.compile(r"(\s+-?\d+)+$")  # lists of CoOp-style papers: the path, then two label numbers


def deal(tiles: pd.DataFrame, lists: Published) -> tuple["pd.Series[str]", dict[str, dict[str, int]]]:
    """Look every tile up in the lists.

    A line is ``<Class>/<name>``, whatever folders stand before the class, or the bare name; the extension plays no
    part. The lists of torchgeo, Neumann and Zhou are all of this form. What is listed but not in the data (a part
    of EuroSAT) is counted. A patch that is in no list is where its group is.

    tiles: every tile of the data, with or without a label: columns file, label, target, and group where there are
    groups. Returns the part of every tile, "unlisted" for one in no list; and for each part how many names its list
    has, and how many of them are not in the data.

    Raises UserError: a list is missing, is not the expected one, holds no name of a tile or an ambiguous one, or shares
    a tile or group with another list; or a label would have no tile in some part.
    """
    names: dict[str, set[str]] = {part: _names(part, getattr(lists, part)) for part in PARTS}
    found = _stems(tiles["file"])
    part_of: dict[str, str] = {}
    for part, listed in names.items():
        for name in sorted(listed):
            if name in part_of:
                raise _in_two(name, part_of[name], part)
            part_of[name] = part
    parts = _look_up(found, part_of)
    known = {*found["path"], *found["stem"]}
    if "group" in tiles:
        groups = _stems(tiles["group"].drop_duplicates())
        known |= {*groups["path"], *groups["stem"]}
        of_group = tiles["group"].map(dict(zip(groups["file"], _look_up(groups, part_of), strict=True)))
        parts = parts.where(parts != "unlisted", of_group)
        _refuse_divided(tiles, parts)
    counts: dict[str, dict[str, int]] = {
        part: {"listed": len(names[part]), "not_in_data": len(names[part] - known)} for part in PARTS
    }
    for part, count in counts.items():
        if count["listed"] == count["not_in_data"]:
            raise UserError(
                f"split.published.{part}: none of its {count['listed']:,} names, such as {min(names[part])}, is a tile "
                f"of the data, such as {tiles['file'].iloc[0]}: give the list that belongs to the data"
            )
        for label, group in tiles[tiles["target"] >= 0].groupby("label"):
            if not (parts[group.index] == part).any():
                raise UserError(
                    f"split.published.{part}: its list names no tile of the label {label} that the data has: "
                    "give a list that does, or leave the label's classes out of the mapping"
                )
    return parts, counts


def _look_up(found: pd.DataFrame, part_of: dict[str, str]) -> "pd.Series[str]":
    """The part of every tile. found: file, path (``<Class>/<stem>``) and stem of each."""
    by_path, by_stem = found["path"].map(part_of), found["stem"].map(part_of)
    clash = found.index[by_path.notna() & by_stem.notna() & (by_path != by_stem)]
    if len(clash):
        raise _in_two(found["file"][clash[0]], by_path[clash[0]], by_stem[clash[0]])
    unclear = found[by_stem.notna() & by_path.isna() & found.duplicated("stem", keep=False)]
    if len(unclear):
        raise UserError(
            f"split.published: {unclear['stem'].iloc[0]!r} is the name of several tiles, such as "
            f"{unclear['file'].iloc[0]}: write <Class>/<name> in the lists"
        )
    return by_path.fillna(by_stem).fillna("unlisted").astype("str")


def _stems(files: "pd.Series[str]") -> pd.DataFrame:
    paths = files.map(stem)
    return pd.DataFrame({"file": files, "path": paths, "stem": paths.str.rpartition("/")[2]})


def _refuse_divided(tiles: pd.DataFrame, parts: "pd.Series[str]") -> None:
    listed = tiles.assign(part=parts)[parts != "unlisted"]
    counts = listed.groupby("group")["part"].nunique()
    if counts.gt(1).any():
        group = counts.idxmax()
        one, two = listed[listed["group"] == group].drop_duplicates("part").head(2).itertuples()
        raise UserError(
            f"split.published: {one.file} is in {one.part} and {two.file} in {two.part}, but both come "
            f"from {group}: give lists that keep together what was cut from one place"
        )


def _in_two(tile: str, one: str, other: str) -> UserError:
    return UserError(
        f"split.published: {tile} is in the lists of both {one} and {other}: give lists that share no tile"
    )


def _names(part: str, source: PublishedList) -> set[str]:
    """The tiles of a list, as ``<Class>/<stem>`` or the bare stem."""
    if source.list is None:
        raise UserError(
            f"split.method is 'published', but split.published.{part}.list is null: name a list file or its URL"
        )
    content = _read(part, source.list, source.sha256)
    digest = hashlib.sha256(content).hexdigest()
    if source.sha256 is None:
        print(f"landuse: split.published.{part}: to be sure of this list, set its sha256: {digest}", file=sys.stderr)
    elif source.sha256.lower() != digest:
        raise UserError(
            f"split.published.{part}: {source.list} is not the expected list (its SHA-256 is {digest}): "
            "fetch it again, or correct the sha256 beside it"
        )
    lines = (line.strip() for line in content.decode("utf-8-sig", errors="replace").splitlines())
    names = {stem(_NUMBERS.sub("", line)) for line in lines if line}
    if not names:
        raise UserError(f"split.published.{part}: {source.list} is empty: write one <Class>/<name> a line")
    return names


def _read(part: str, source: str, sha256: str | None) -> bytes:
    if source.startswith(("http://", "https://")):
        remedy = f"check split.published.{part}, or save the list yourself and give its path"
        return fetch([Address(source, f"sha256:{sha256.lower()}" if sha256 else None)], remedy).read_bytes()
    path = local(source.removeprefix("file://"))
    if not path.is_file():
        raise UserError(f"split.published.{part}: no list at {source}: give the path or URL of a text file")
    return path.read_bytes()
