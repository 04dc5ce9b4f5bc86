"""From two maps, or two scenes, to the folder of their change."""

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from landuse.core.errors import UserError
from landuse.core.files import atomic, write_json, write_text
from landuse.inference.change import shift
from landuse.inference.change.pair import Pair, check_dates, decisions, read_pair
from landuse.inference.change.picture import write_picture
from landuse.inference.change.table import Change, csv_of, estimated, told
from landuse.inference.map import MapOptions, map_scene
from landuse.inference.map.cells import NODATA, SHARE, Bytes
from landuse.inference.map.polygons import write_polygons
from landuse.inference.map.rasters import write_bands, write_classes
from landuse.inference.model import Model
from landuse.inference.scene import Scene, SceneOptions, open_scene
from landuse.inference.sheet import pale, save
from landuse.palette import rgb

_FARTHEST = 0.5  # of a cell that the dates may lie apart


def change_maps(before: Path, after: Path, out: Path, maps: Path | None = None) -> list[str]:
    """Write the folder ``out`` about two folders of `landuse map`; returns lines for people about what is in it.

    maps: a folder to move into it, as ``maps``.

    Raises:
        UserError: out is there already, or the maps cannot be compared.
    """
    _check_out(out)
    pair = read_pair(before, after)
    rows, cols = pair.known.shape
    metres = pair.before.summary["cell_metres"]
    apart = shift.between(pair.before.picture, pair.after.picture, (cols * metres, rows * metres))
    _check_shift(apart, metres, before, after)
    change = estimated(pair, apart)
    change.table["decisions"] = decisions(pair)
    with atomic(out) as part:
        part.mkdir()
        _write(part, pair, change)
        if maps is not None:
            shutil.copytree(maps, part / "maps")
    if maps is not None:
        shutil.rmtree(maps.parent)
    return [*told(change.table), f"wrote {out}: change.json, change.png, transitions.tif, transitions.gpkg and more"]


def change_scenes(
    before: str, after: str, out: Path, model: Path, options: MapOptions, scene_options: SceneOptions
) -> list[str]:
    """Map two scenes with one model and the same options, then go on as ``change_maps``.

    The maps wait beside ``out``, so that the same call goes on where another one was ended; they end in it.

    Raises:
        UserError: out is there already, or the scenes cannot be mapped, or not be compared.
    """
    _check_out(out)
    spec = Model.load(model, threads=1).spec
    scenes = [open_scene([path], spec, scene_options) for path in (before, after)]
    _check_scenes(before, after, scenes)
    done = f"{[scene.digest for scene in scenes]} {spec.identity} {replace(options, workers=None)}"
    kept = out.with_name(f".{out.name}.maps")
    maps = kept / hashlib.sha256(done.encode()).hexdigest()[:16]
    if kept.exists() and not maps.exists():
        shutil.rmtree(kept)
    for path, name in ((before, "before"), (after, "after")):
        if not (maps / name).exists():
            map_scene([path], maps / name, model, options, scene_options)
    return change_maps(maps / "before", maps / "after", out, maps)


def _check_shift(apart: shift.Shift | None, metres: float, before: Path, after: Path) -> None:
    if apart is not None and apart.metres > _FARTHEST * metres:
        raise UserError(
            f"{after} lies {apart.x:+.0f} m to the right and {apart.y:+.0f} m above {before}, "
            f"{apart.metres / metres:.1f} cells: bring both scenes to one place first (co-registration)"
        )


def _check_out(out: Path) -> None:
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there already: name a new folder")
    file = next((path for path in out.parents if path.is_file()), None)
    if file is not None:
        raise UserError(f"{file} is a file, so no folder can be in it: name another one")


def _check_scenes(before: str, after: str, scenes: list[Scene]) -> None:
    """Refuse before minutes of mapping what would be refused after them."""
    first, second = scenes
    if first.digest == second.digest:
        raise UserError(f"{before} is named twice: give the scenes of two dates")
    check_dates(first.date, second.date)
    if first.crs != second.crs:
        one, other = first.crs.to_string(), second.crs.to_string()
        raise UserError(f"{before} is in {one}, {after} in {other}: bring one scene to the other (gdalwarp -t_srs)")
    sizes = [(scene.height, scene.width, scene.transform) for scene in scenes]
    if sizes[0][:2] != sizes[1][:2] or not sizes[0][2].almost_equals(sizes[1][2], precision=1):
        one, other = (f"{height} x {width} pixels from {place.c:.0f}, {place.f:.0f}" for height, width, place in sizes)
        raise UserError(f"{before} has {one}, {after} {other}: cut both to one extent (gdalwarp -te)")
    if None not in (first.level, second.level) and first.level != second.level:
        raise UserError(f"{before} is {first.level}, {after} {second.level}: give two scenes of one level")


def _write(folder: Path, pair: Pair, change: Change) -> None:
    table, classes = change.table, pair.classes
    place = {"crs": pair.before.crs, "transform": pair.before.transform}
    for name, found in (("before", pair.before), ("after", pair.after)):
        write_classes(folder / f"{name}.tif", found.classes, place, table["colours"], f"land use {name}")
        save(found.picture, folder / f"{name}.png")
    names = [f"{was} to {became}" if was != became else was for was in classes for became in classes]
    likeliest, probability = _likeliest(pair, change)
    changed = (likeliest != NODATA) & (likeliest % (len(classes) + 1) != 0)
    write_classes(folder / "transitions.tif", likeliest, place, _colours(table, names), "transition")
    write_polygons(
        folder / "transitions.gpkg", ("transitions", "transition"), likeliest, changed, probability, place, names
    )
    bands, about = _bands(pair, change)
    write_bands(folder / "change.tif", bands, place, about, [1 / SHARE] * len(about))
    write_picture(folder / "change.png", pair, change.transitions, table)
    write_text(folder / "transitions.csv", csv_of(table))
    write_text(folder / "decisions.log", "".join(f"{line}\n" for line in table["decisions"]))
    write_json(folder / "change.json", table)


def _likeliest(pair: Pair, change: Change) -> tuple[Bytes, Bytes]:
    """(rows, cols) number of the likeliest transition, from * K + to, and its probability times SHARE."""
    flat = change.transitions.reshape(len(change.transitions), -1)
    likeliest = np.full(pair.known.shape, NODATA, dtype=np.uint8)
    probability = np.zeros(pair.known.shape, dtype=np.uint8)
    likeliest[pair.known] = flat.argmax(axis=1)
    probability[pair.known] = np.rint(flat.max(axis=1) * SHARE)
    return likeliest, probability


def _bands(pair: Pair, change: Change) -> tuple[Bytes, list[str]]:
    """(bands, rows, cols) of change.tif, and their names."""
    classes = pair.classes
    pairs = [(i, j) for i in range(len(classes)) for j in range(len(classes)) if i != j]
    of_pairs = np.stack([change.transitions[:, i, j] for i, j in pairs])
    bands = np.full((1 + len(pairs), *pair.known.shape), NODATA, dtype=np.uint8)
    bands[:, pair.known] = np.rint(np.concatenate([of_pairs.sum(axis=0)[None], of_pairs]) * SHARE)
    return bands, ["probability of change", *(f"probability {classes[i]} to {classes[j]}" for i, j in pairs)]


def _colours(table: dict[str, Any], names: list[str]) -> dict[str, str]:
    """Of each transition: that of what it became, pale where it stayed that."""
    classes = table["classes"]
    found = {}
    for number, name in enumerate(names):
        was, became = divmod(number, len(classes))
        colour = rgb(table["colours"][classes[became]])
        found[name] = "#{:02x}{:02x}{:02x}".format(*(pale(colour) if was == became else colour))
    return found
