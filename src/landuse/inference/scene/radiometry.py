"""What the values of a scene mean: their units and offset, by metadata, people and the pixels themselves."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference import plausible
from landuse.inference.scene import rasters
from landuse.inference.scene.options import SceneOptions
from landuse.inference.scene.product import Found, Log, Product
from landuse.inference.scene.scene import Band
from landuse.spec.model import ModelSpec

_DARK = 0.01  # quantile: what lies below may be broken, or shadows that L2A made too dark
# Digital numbers of the dark quantile. Where an offset of -1000 is in order, 1000 is black, and it is not below 900.
# Without an offset black is 0, and somewhere is water, shadow or wood: in all of B02, B03 and B04 it is 1000 or more in
# 4.9 % of 469 tiles of EuroSAT, 640 m wide, and in none of 300 random sets of four of them; in B10 in no tile
_OFFSET_GONE, _OFFSET_THERE = 900, 1000
_DARKEST = ("B10", "B12", "B11")  # looked at, too, where a scene has them: dark somewhere almost everywhere
_BYTE = 255  # even the sea is brighter in blue, by what the air scatters
_FLAG = "--offset -1000 (baseline 04.00 and later) or --offset 0 (before that, or harmonised) decides"

Values = npt.NDArray[Any]


class Scale(NamedTuple):
    """Digital numbers (reflectance x 10000) = gain x value + offset; offset None: not known. source: who says so."""

    gain: float
    offset: float | None
    source: str

    def __str__(self) -> str:
        times = f"{self.gain:,g} x " if self.gain != 1 else ""
        plus = f" {'+' if self.offset > 0 else '-'} {abs(self.offset):,g}" if self.offset else ""
        return f"{times}value{plus}"


def calibrate(
    chosen: Sequence[Found], product: Product, spec: ModelSpec, options: SceneOptions, log: Log
) -> tuple[tuple[Band, ...], bool]:
    """Say for each band that a model reads how its values become digital numbers; or True: they stay as they are.

    Raises:
        UserError: there is no data; the model cannot take such values; metadata and pixels disagree, or neither tells.
    """
    seen = _look(chosen)
    for band in chosen:
        if not seen[band].any():
            raise UserError(
                f"no data in band {band.index} of {band.path}, as far as was looked: check the file, or cut out the "
                "part that has some (gdal_translate -projwin)"
            )
    if all(values.dtype == np.uint8 for values in seen.values()):
        _check_picture(chosen, spec, log)
        return tuple(_band(name, band, 1, 0) for name, band in zip(spec.spectral, chosen, strict=True)), True
    if spec.units not in (sensors.UNITS, sensors.RGB_UNITS):
        raise UserError(f"the model takes {spec.units}, {chosen[0].path} has reflectance: give it an 8-bit picture")
    units = options.units or _units(chosen, seen, log)
    if options.offset is None:
        with suppress(UserError):  # the model does not need them
            seen |= _look([band for band in product.bands if band.name in _DARKEST and band not in chosen])
    scales = {band: _scale(band, units, options) for band in seen}
    dark = {band: _dark(values, scales[band]) for band, values in seen.items() if values.any()}
    if any(scale.offset is None for scale in scales.values()):
        told = _by_pixels(dark)
        scales = {band: s if s.offset is not None else Scale(s.gain, *told) for band, s in scales.items()}
    if options.offset is None:
        _check(dark, scales)
    _say(scales, chosen, dark, log)
    base = spec.radiometric_offset or 0  # what the model itself adds
    return tuple(
        _band(name, band, scales[band].gain, (scales[band].offset or 0) - base)
        for name, band in zip(spec.spectral, chosen, strict=True)
    ), False


def _band(name: str, band: Found, gain: float, offset: float) -> Band:
    return Band(name, band.path, band.index, gain, offset, rasters.nodata_of(band.path, band.index))


def _look(bands: Sequence[Found]) -> dict[Found, Values]:
    """A sample of the values of bands."""
    seen: dict[Found, Values] = {}
    for path, group in groupby(bands, key=lambda band: band.path):
        same = list(group)
        indexes = [band.index for band in same]
        seen |= zip(same, rasters.sample(path, indexes, rasters.nodata_of(path, indexes[0])), strict=True)
    return seen


def _units(chosen: Sequence[Found], seen: dict[Found, Values], log: Log) -> str:
    kinds = {seen[band].dtype for band in chosen}
    if np.dtype(np.uint8) in kinds or any(kind.kind not in "iuf" for kind in kinds):
        raise UserError(
            f"the bands hold {', '.join(sorted(map(str, kinds)))}: give all as reflectance or digital numbers"
        )
    if any(band.gain is not None for band in chosen):
        return "dn"
    high = max(float(np.quantile(seen[band], 0.99)) * _gain(band) for band in chosen)
    told = f"99 % of its values are up to {high:,.3g}"
    whole = all(kind.kind in "iu" for kind in kinds)
    if not whole and 0 < high <= 2:
        log.append(f"floating-point values: {told}: reflectance, times 10,000")
        return "reflectance"
    if _BYTE < high < plausible.WHITE:
        if not whole:
            log.append(f"floating-point values: {told}: reflectance x 10000")
        return "dn"
    raise UserError(
        f"{chosen[0].path} has neither reflectance (0 to 1, floating point) nor reflectance x 10000: {told}; "
        "convert it, or --units dn or --units reflectance decides"
    )


def _check_picture(chosen: Sequence[Found], spec: ModelSpec, log: Log) -> None:
    if spec.units == sensors.UNITS:
        raise UserError(
            f"{chosen[0].path} is an 8-bit picture, the model takes {spec.units}: give it the bands themselves"
        )
    if spec.units == sensors.RGB_UNITS:
        log.append(
            "8-bit values are taken for EuroSAT's RGB (reflectance 0 to 0.275 as 1 to 255); of another stretch, like "
            "that of a product's TCI, the model errs more, by how much is not known"
        )


def _scale(band: Found, units: str, options: SceneOptions) -> Scale:
    gain = 10_000.0 if units == "reflectance" else band.gain or _gain(band)
    if options.offset is not None:
        return Scale(gain, options.offset, "--offset")
    if units == "reflectance" and band.offset is None:
        return Scale(gain, 0, "the units")
    sensor = sensors.SENSOR_OF.get(band.name or "")
    if sensor and sensor.offset and not band.source:
        return Scale(gain, sensor.offset * 10_000, f"the products of {sensor.name}")
    return Scale(gain, band.offset, band.source)


def _gain(band: Found) -> float:
    """Reflectance x 10000 of a digital number, by the sensor's products."""
    sensor = sensors.SENSOR_OF.get(band.name or "")
    return sensor.scale * 10_000 if sensor else 1.0


def _dark(values: Values, scale: Scale) -> float:
    """The dark quantile in digital numbers before the offset."""
    return float(np.quantile(values, _DARK)) * scale.gain


def _by_pixels(dark: dict[Found, float]) -> tuple[float, str]:
    """The offset and its reason, where nothing but pixels tells it."""
    band = min(dark, key=lambda band: dark[band])
    if dark[band] < _OFFSET_GONE:
        return 0, "the pixels"
    if band.name == "B10":  # of clear and cloudy sky alike it is next to black
        return -1000, "the pixels"
    raise UserError(
        f"less than 1 % of pixels of {band.path} are below {dark[band]:,.0f}: an offset, or a bright place? {_FLAG}"
    )


def _check(dark: dict[Found, float], scales: dict[Found, Scale]) -> None:
    """Raise UserError where the pixels contradict an offset."""
    band = min(dark, key=lambda band: dark[band])
    scale = scales[band]
    assert scale.offset is not None
    told = f"the offset is {scale.offset:g} by {scale.source}, but 1 % of pixels of {band.name} reach {dark[band]:,.0f}"
    if scale.offset <= -1000 and dark[band] < _OFFSET_GONE:
        raise UserError(f"{told}, as if it had been applied: {_FLAG}")
    if scale.offset > -1000 and dark[band] + scale.offset >= _OFFSET_THERE:
        raise UserError(f"{told}, as if it were -1000: {_FLAG}")


def _say(scales: dict[Found, Scale], chosen: Sequence[Found], dark: dict[Found, float], log: Log) -> None:
    for scale in dict.fromkeys(scales[band] for band in chosen):
        names = ", ".join(str(band.name) for band in chosen if scales[band] == scale)
        log.append(f"{names}: reflectance x 10000 = {scale}, no less than 1, by {scale.source}")
    band = min(dark, key=lambda band: dark[band])
    log.append(f"darkest 1 % of pixels before the offset: up to {dark[band]:,.0f} in {band.name}")
