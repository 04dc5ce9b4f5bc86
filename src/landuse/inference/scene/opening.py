"""From paths to a scene: what the files are, and whether the model can use them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene import rasters
from landuse.inference.scene.grid import Grid
from landuse.inference.scene.options import SceneOptions
from landuse.inference.scene.scene import Band, Scene
from landuse.spec import ModelSpec


def open_scene(paths: Sequence[str], spec: ModelSpec, options: SceneOptions) -> Scene:
    """Open a scene for a model.

    Raises:
        UserError: it cannot be read, or is not what the model takes; says what to do.
    """
    path = paths[0]
    raster = rasters.opened(path)
    grid = Grid(raster.height, raster.width, raster.transform, raster.crs)
    found = {name: index for index, name in enumerate(options.bands or raster.descriptions, 1)}
    missing = [name for name in spec.bands if name not in found]
    if missing:
        raise UserError(f"{path} has no band {', '.join(missing)}: name its bands with --bands")
    bands = tuple(
        Band(name, path, found[name], nodata=0 if raster.nodata is None else raster.nodata) for name in spec.bands
    )
    bands = tuple(replace(band, offset=options.offset or 0) for band in bands)
    status = Path(path).stat()
    digest = hashlib.sha256(repr((path, status.st_size, status.st_mtime_ns, options)).encode()).hexdigest()
    return Scene(grid, bands, spec.dtype, spec.units == sensors.RGB_UNITS, (f"bands of {path} by name",), digest)
