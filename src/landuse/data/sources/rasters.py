"""Any folder, or zip, of class folders of GeoTIFFs: bands of any sensor that has a table. Importing this loads GDAL."""

import hashlib
import sys
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rasterio.windows import Window

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.data.sources import archive, geotiff
from landuse.data.sources.collection import Collection, GeoRef, Tile
from landuse.pictures import BadTile

_EXTENSIONS = (".tif", ".tiff")
_KINDS = ("uint8", "uint16", "float32", "float64")
_LOOKED_AT = 100  # files, for one that can be read


@dataclass(frozen=True)
class _Form:
    """What all files have in common.

    metres: a pixel of a tile, None: unknown. named: files name their bands. example: the file that it is of.
    """

    dtype: str
    metres: float | None
    named: bool
    example: str

    def check(self, image: Any, data: params.Data) -> None:
        """Raise BadTile, saying both sides, where a file has another form."""
        kind, metres = image.dtypes[0], _metres(image, data)
        if kind != self.dtype:
            raise BadTile(f"{kind} values, {self.example} has {self.dtype}: give all tiles as one of them")
        if self.metres and metres and not 1 / geotiff.ALIKE < metres / self.metres < geotiff.ALIKE:
            if data.resize:
                raise BadTile(
                    f"resized to pixels of {metres:g} m, {self.example} to {self.metres:g} m: cut both to as much land"
                )
            raise BadTile(
                f"pixels of {metres:g} m, {self.example} has {self.metres:g} m: resample one of them (gdalwarp -tr), "
                "or all of them, if they show as much land (-S data.resize=true)"
            )


def collection(data: params.Data) -> Collection:
    """Open ``data.url`` as class folders of GeoTIFFs with the bands of ``data.bands``, by their descriptions.

    Digital numbers (uint16) and reflectance (floats) become uint16 reflectance x 10000; 8-bit values stay. Of a larger
    file the centre is cut out; with ``data.resize`` its largest square is resampled, which changes the size of pixels
    on the ground.

    Raises:
        UserError: no file can be read, or the bands have no such index.
    """
    assert data.url is not None  # ``folder`` has seen to it
    chosen = sensors.choose(data.bands)
    try:
        files = archive.open_url(data.url, lambda name: name.lower().endswith(_EXTENSIONS))
    except archive.NoTilesError as error:
        raise UserError(
            f"{error}. data.bands is {_short(data.bands)}, which reads GeoTIFFs: for pictures use -S data.bands=rgb"
        ) from None
    form = _form(files, chosen, data)
    if form.dtype == "uint8" and chosen.channels:
        raise UserError(
            "data.bands has indices, which are of reflectance, but the files hold 8-bit values: leave them out"
        )
    return Collection(
        source="folder",
        names=files.names,
        read=partial(_read, files, chosen, form, data),
        bands=chosen.bands,
        size=data.tile_size,
        dtype=np.dtype(np.uint8) if form.dtype == "uint8" else chosen.dtype,
        units="8-bit values" if form.dtype == "uint8" else chosen.units,
        ground_resolution=form.metres,
        licence="the user's own data",
        channels=chosen.channels,
        resized=data.resize,
    )


def _form(files: archive.Archive, chosen: sensors.Choice, data: params.Data) -> _Form:
    """The form of the first file that can be read; says on standard error in which order nameless bands are taken."""
    reason = ""
    for name in files.names[:_LOOKED_AT]:
        try:
            with warnings.catch_warnings(action="ignore"), geotiff.opened(files.read(name)) as image:
                if image.dtypes[0] not in _KINDS:
                    raise BadTile(f"{image.dtypes[0]} values: give {', '.join(_KINDS[:3])}")
                _, note = _places(image, chosen)
                form = _Form(image.dtypes[0], _metres(image, data), note is None, name)
        except (BadTile, sensors.Unfit) as error:
            reason = reason or f"{name}: {error}"
            continue
        if note:
            print(f"landuse: {note}", file=sys.stderr)
        return form
    raise UserError(f"no tile can be used ({reason}): mend the files, or choose other data.bands")


def _read(files: archive.Archive, chosen: sensors.Choice, form: _Form, data: params.Data, name: str) -> Tile:
    content = files.read(name)
    try:
        with geotiff.opened(content) as image:
            form.check(image, data)
            places, note = _places(image, chosen)
            if form.named and note:
                raise BadTile(f"bands without names, {form.example} names its own: describe them")
            window = sensors.centre(image.width, image.height, _side(image, data))
            pixels = sensors.stored(sensors.read(image, places, window, data.tile_size), chosen.bands, chosen.sensor)
            code = geotiff.epsg_of(image)
            place = GeoRef(code, *image.window_bounds(Window.from_slices(*window))) if code else None
    except sensors.Unfit as error:
        raise BadTile(str(error)) from None
    return Tile(pixels.transpose(1, 2, 0), hashlib.sha256(content).hexdigest(), place)


def _places(image: Any, chosen: sensors.Choice) -> tuple[list[int], str | None]:
    own = sensors.in_order_of("data.bands", chosen.bands)
    order = own if image.count == len(chosen.bands) else sensors.EUROSAT
    return sensors.places(
        sensors.named(image, order, chosen.sensor), chosen.bands, chosen.sensor, takes="data.bands asks for"
    )


def _side(image: Any, data: params.Data) -> int:
    """Pixels a side of the square in the middle of a file that becomes a tile."""
    return min(image.width, image.height) if data.resize else data.tile_size


def _metres(image: Any, data: params.Data) -> float | None:
    """Metres of a pixel of a tile, where its file tells them."""
    width = geotiff.metres(image)
    return width and round(width * _side(image, data) / data.tile_size, 2)


def _short(bands: str | list[str]) -> str:
    return bands if isinstance(bands, str) else ", ".join(bands[:4]) + (", ..." if len(bands) > 4 else "")
