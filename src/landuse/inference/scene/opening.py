"""From paths to a scene: what the files are, and whether the model can use them."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from rasterio.enums import Resampling

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.layers import given
from landuse.inference.scene import files, grid, masks, radiometry, rasters, safe, stac
from landuse.inference.scene.grid import Grid
from landuse.inference.scene.options import SceneOptions
from landuse.inference.scene.product import Found, Log, Product
from landuse.inference.scene.scene import Band, Scene
from landuse.spec.model import ModelSpec

_ENDINGS = {".tif", ".tiff", ".jp2", ".vrt"}
_COARSE = 1.5  # times the scene's pixels


def open_scene(paths: Sequence[str], spec: ModelSpec, options: SceneOptions) -> Scene:
    """Open a scene for a model: one raster of all bands or several, a SAFE folder or zip, or a STAC item.

    Args:
        paths: of files, or addresses; a path as GDAL names it (/vsizip/...) is one, too.
        spec: of the model.
        options: what a person says where the files do not.

    Raises:
        UserError: it cannot be read, or is not what the model takes; says what to do.
    """
    rasters.forget()
    with rasters.environment():
        return _open(paths, spec, options)


def _open(paths: Sequence[str], spec: ModelSpec, options: SceneOptions) -> Scene:
    log: Log = [f"scene: {', '.join(paths)}"]
    product = _find([_absolute(path) for path in paths], options, log)
    _check_level(product, spec, options, log)
    chosen = product.pick(spec.spectral, log)
    pixels = _grid(chosen, spec, options, log)
    bands, picture = radiometry.calibrate(chosen, product, spec, options, log)
    bands = _resampled(bands, pixels, log)
    layers = given(spec, options.layer)
    log += [f"layer {layer.name} is {layer.path}, onto the scene's pixels by {layer.method}" for layer in layers]
    masking = _masks(product, spec, options, pixels, log)
    if options.within:
        within = masks.polygons(options.within, pixels, inside=False)
        pixels, masking = pixels.around(within.bounds, margin=spec.tile_size), (*masking, within)
        log.append(f"masked: outside of {options.within}")
    if min(pixels.height, pixels.width) < spec.tile_size:
        size = f"{pixels.height} x {pixels.width} pixels"
        raise UserError(f"the scene has {size}, a tile of the model {spec.tile_size} a side: give a larger scene")
    sources = dict.fromkeys(
        part.path for part in (*bands, *masking, *layers) if not isinstance(part, masks.PolygonMask)
    )
    identity = (pixels, bands, masking, layers, options, list(map(_states, sources)))
    return Scene(
        grid=pixels,
        bands=bands,
        masks=masking,
        dtype=spec.dtype,
        rgb=spec.units == sensors.RGB_UNITS and not picture,
        decisions=tuple(log),
        digest=hashlib.sha256(repr(identity).encode()).hexdigest(),
        date=product.date,
        level=product.level,
        layers=layers,
    )


def _find(paths: Sequence[str], options: SceneOptions, log: Log) -> Product:
    if not paths:
        raise UserError("no scene is named: give a raster, a SAFE folder or a STAC item")
    product = _product(paths)
    if product and options.bands:
        raise UserError(f"{paths[0]} names its bands: leave --bands out, or give the rasters themselves")
    if product and len(paths) > 1:
        raise UserError(f"{paths[0]} is a product of its own: give one at a time")
    if product:
        return product
    folder = Path(paths[0])
    if len(paths) == 1 and (folder.is_dir() or folder.suffix.lower() == ".zip"):
        inside = safe.Folder(folder)
        paths = [inside.gdal(name) for name in inside.names if PurePath(name).suffix.lower() in _ENDINGS]
        if not paths:
            raise UserError(f"{folder} has neither a product's metadata nor rasters: give a scene")
    return files.find(paths, options.bands, log)


def _product(paths: Sequence[str]) -> Product | None:
    """The product that the first path names, or None where it is a raster, or a folder of rasters."""
    path = Path(paths[0])
    if stac.is_item(paths[0]):
        return stac.find(paths[0])
    if not urlsplit(paths[0]).scheme and not paths[0].startswith("/vsi") and not path.exists():
        raise UserError(f"no {path}: check the path")
    if path.is_dir() or path.suffix.lower() == ".zip":
        return safe.find(safe.Folder(path))
    return safe.find(safe.Folder(path.parent)) if safe.METADATA.fullmatch(path.name) else None


def _check_level(product: Product, spec: ModelSpec, options: SceneOptions, log: Log) -> None:
    learned = sensors.LEVELS.get(spec.source)
    if learned is None or product.level == learned:
        log.append(f"processing level: {product.level or 'not known'}, of the model's tiles: {learned or 'not known'}")
    elif product.level is None:
        log.append(f"processing level: not known; taken for {learned}, as the model's tiles")
    elif options.accept_level is None:
        raise UserError(
            f"the scene is {product.level} (reflectance of the surface), the model has learned from {learned} (at the "
            "top of the atmosphere): give the L1C product of that day, or take its risk with --accept-level l2a"
        )
    else:
        log.append(
            f"processing level: {product.level} for a model of {learned} (--accept-level). Without the haze that the "
            "model has learned with, blue and green are darker: it errs more, by how much is not known. Check a sample"
        )


def _grid(chosen: Sequence[Found], spec: ModelSpec, options: SceneOptions, log: Log) -> Grid:
    """Of the finest raster, on which the others are read."""
    opened = [rasters.opened(path) for path in dict.fromkeys(band.path for band in chosen)]
    finest = min(opened, key=lambda raster: abs(raster.transform.a) + abs(raster.transform.b))
    pixels = grid.grid_of(finest, spec.ground_resolution, options.resample, log)
    for raster in opened:
        if raster.crs != finest.crs:
            raise UserError(f"{raster.name} and {finest.name} have different CRS: give bands of one acquisition")
        if not pixels.touches(grid.bounds_of(raster), raster.crs):
            raise UserError(f"{raster.name} and {finest.name} do not overlap: give bands of one acquisition")
    return pixels


def _resampled(bands: Sequence[Band], pixels: Grid, log: Log) -> tuple[Band, ...]:
    """With the method by which a band's pixels become the scene's, where they are others.

    EuroSAT brought 20 m bands to 10 m by a cubic spline (Helber et al. 2019). Measured in 140 of its tiles: between
    0.13 and 0.18 cycles a pixel lie 1.3 % of the power of B8A; of B08 averaged to 20 m and brought back, 1.7 % by the
    spline and 4.4 % by the cubic.
    """
    found = []
    for band in bands:
        raster = rasters.opened(band.path)
        if pixels.shift(raster) is None:
            coarse = max(pixels.times(raster)) > _COARSE
            band = replace(band, method=Resampling.cubic_spline if coarse else Resampling.cubic)
        found.append(band)
    for method in (Resampling.cubic, Resampling.cubic_spline):
        if names := [band.name for band in found if band.method == method]:
            log.append(f"{', '.join(names)}: brought onto the scene's pixels by {method.name.replace('_', ' ')}")
    return tuple(found)


def _masks(product: Product, spec: ModelSpec, options: SceneOptions, pixels: Grid, log: Log) -> tuple[masks.Mask, ...]:
    snowy = any("snow" in name.lower() for name in spec.classes)
    found: list[masks.Mask] = []
    for layer in product.clouds:
        alone = tuple(value for value in layer.alone if not (snowy and value == masks.SNOW))
        found.append(replace(layer, alone=alone, dilate=options.dilate))
        values = f"values {', '.join(map(str, sorted((*alone, *(layer.grown or ())))))}" if layer.grown else "clouds"
        log.append(
            f"masked: {values} of {PurePath(layer.path).name}, clouds and shadows widened by {options.dilate} pixels"
        )
    for path in options.mask:
        found.append(masks.of_file(_absolute(path), pixels))
        log.append(f"masked: {'not 0' if isinstance(found[-1], masks.RasterMask) else 'inside'} of {path}")
    if not found:
        log.append("no mask of clouds: they are mapped as if they were land (--mask FILE)")
    return tuple(found)


def _absolute(path: str) -> str:
    """For processes that work elsewhere; an address, or a path of GDAL's, stays as it is."""
    return str(Path(path).absolute()) if Path(path).exists() else path


def _states(path: str) -> dict[str, tuple[int, int] | None]:
    """State of a raster and of its other files: what lies beside it, and a VRT's sources, which may be VRTs."""
    states: dict[str, tuple[int, int] | None] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in states:
            continue
        states[file] = _state(file)
        if states[file] is not None and (file == path or file.lower().endswith(".vrt")):  # a server would be asked
            waiting += rasters.opened(file).files
    return states


def _state(path: str) -> tuple[int, int] | None:
    """Size and time of change of a file, or of the zip that it is in; None where it is on a server."""
    file = Path(path.removeprefix("/vsizip/"))
    for known in (file, *file.parents):
        if known.is_file():
            return known.stat().st_size, known.stat().st_mtime_ns
    return None
