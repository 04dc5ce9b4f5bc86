"""From scene and model to the folder of a map."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from affine import Affine
from tqdm import tqdm

from landuse import sensors
from landuse.core.cores import cores
from landuse.core.errors import UserError
from landuse.core.files import atomic, write_text
from landuse.inference.map import pictures, polygons, rasters, stac, workers
from landuse.inference.map.answers import Task
from landuse.inference.map.cells import Cells, assemble
from landuse.inference.map.dense import Dense, write_dense
from landuse.inference.map.grid import CellGrid
from landuse.inference.map.kept import Kept
from landuse.inference.map.summary import summarise, told, write_summary
from landuse.inference.model import Model
from landuse.inference.scene import Scene, SceneOptions, open_scene
from landuse.spec.model import ModelSpec

_MODEL_FILES = ("model.json", "model.onnx", "reference.npz")


@dataclass(frozen=True)
class MapOptions:
    """How a scene becomes a map.

    stride: pixels a side of a cell; None: half a tile. min_valid: share of valid pixels that a cell and a window
    need. workers: processes on this machine; None: one a core. scheduler: address of a Dask scheduler to use instead.
    date: of acquisition, ISO 8601, where the files do not say. dense: write dense.tif, too.
    """

    stride: int | None = None
    min_valid: float = 0.5
    workers: int | None = None
    scheduler: str | None = None
    date: str | None = None
    dense: bool = False


def map_scene(
    paths: Sequence[str], out: Path, model_folder: Path, options: MapOptions, scene_options: SceneOptions
) -> list[str]:
    """Write the folder ``out``; returns lines for people about what is in it.

    Finished blocks wait beside it, so that the same call goes on where another one was ended.

    Raises:
        UserError: out is there already; the model or the scene cannot be used, or do not fit; no cell has data.
    """
    if out.exists() or out.is_symlink():
        raise UserError(f"{out} is there already: name a new folder")
    file = next((path for path in out.parents if path.is_file()), None)
    if file is not None:
        raise UserError(f"{file} is a file, so no map can be in it: name another folder")
    model = Model.load(model_folder, threads=1)  # whoever answers for a block loads it again
    spec = model.spec
    dense = Dense.load(model_folder, model, options.workers or cores()) if options.dense else None
    if options.scheduler is not None:  # its workers stand in folders of their own
        paths = [str(Path(path).resolve()) if Path(path).exists() else path for path in paths]
    scene = open_scene(paths, spec, scene_options)
    scene = replace(scene, date=options.date or scene.date)
    grid = CellGrid.over(scene.height, scene.width, spec.tile_size, options.stride)
    task = _task(scene, spec, model_folder, grid, options.min_valid)
    kept = Kept.beside(out, task.digest)
    _answer(task, kept, options)
    cells = assemble(kept, grid, spec, options.min_valid)
    if not cells.valid.any():
        kept.drop()
        raise UserError(f"no cell of {', '.join(paths)} has data: at least {options.min_valid:.0%} of it must be valid")
    summary = summarise(spec, scene, grid, cells, rasters.of_cells(scene.transform, grid.stride))
    summary["decisions"] = [*scene.decisions, *_decisions(task, spec)]
    with atomic(out) as part:
        part.mkdir()
        if dense is not None:
            summary["dense"], decision = write_dense(part, dense, model, scene, options.min_valid)
            summary["decisions"].append(decision)
        _write(part, out.name, scene, cells, summary)
    kept.drop()
    more = summary["decisions"][-1:] if dense else []
    return [*told(summary), *more, f"wrote {out}: classes.tif, scores.tif, cells.gpkg, map.png, summary.json and more"]


def _task(scene: Scene, spec: ModelSpec, folder: Path, grid: CellGrid, min_valid: float) -> Task:
    identity = hashlib.sha256(f"{scene.digest} {grid} {min_valid}".encode())
    for name in _MODEL_FILES:
        if (folder / name).is_file():
            identity.update((folder / name).read_bytes())
    extent = max(grid.rows, grid.cols) * grid.stride
    factors = [n for n in range(1, grid.stride + 1) if grid.stride % n == 0]
    shrink = next((n for n in factors if extent <= n * pictures.LARGEST), grid.stride)
    return Task(
        scene, str(folder.resolve()), identity.hexdigest(), grid, min_valid, tuple(sensors.shown(spec.bands)), shrink
    )


def _answer(task: Task, kept: Kept, options: MapOptions) -> None:
    """Compute the blocks that are not kept yet; this process alone writes, in order."""
    every = task.grid.blocks
    todo = [first for first in every if not kept.has(first)]
    if options.scheduler is None:
        found = workers.here(task, todo, options.workers or cores())
    else:
        found = workers.on_cluster(task, todo, options.scheduler)
    bar = tqdm(found, desc="map", unit="block", total=len(every), initial=len(every) - len(todo), disable=None)
    for first, block in zip(todo, bar, strict=True):
        kept.write(first, block)


def _decisions(task: Task, spec: ModelSpec) -> list[str]:
    grid = task.grid
    return [
        f"model {spec.identity[:12]} ({spec.backbone}, {spec.precision}): {', '.join(spec.classes)}",
        f"cells of {grid.stride} x {grid.stride} pixels; each is the mean of all windows of {grid.tile} x {grid.tile} "
        f"pixels that cover it, {grid.reach**2} inside the map, fewer along its borders",
        f"a cell and a window need {task.min_valid:.0%} valid pixels; in a window the others get its valid ones' mean",
    ]


def _write(folder: Path, name: str, scene: Scene, cells: Cells, summary: dict[str, Any]) -> None:
    classes, colours = summary["classes"], summary["colours"]
    place = {"crs": scene.crs, "transform": Affine(*summary["transform"])}
    rasters.write_classes(folder / "classes.tif", cells.classes, place, colours, "land use")
    rasters.write_scores(folder, cells.scores, place, classes)
    likeliest = cells.scores[: len(classes)].max(axis=0)
    polygons.write_polygons(
        folder / "cells.gpkg", ("classes", "class"), cells.classes, cells.valid, likeliest, place, classes
    )
    quicklook = pictures.write_quicklook(folder / "quicklook.png", cells)
    pictures.write_map(folder / "map.png", cells, quicklook, summary)
    write_summary(folder, summary)
    stac.write_item(folder, name, summary, place)
    write_text(folder / "decisions.log", "".join(f"{line}\n" for line in summary["decisions"]))
