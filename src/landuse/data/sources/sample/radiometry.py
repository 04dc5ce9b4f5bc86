"""From a landscape to what Sentinel-2 measures: digital numbers in its 13 bands.

Spectra, their variation between and within tiles and its correlation between bands are those of 469
real EuroSAT patches (``band_statistics.json`` says how they were measured).
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.ndimage import correlate1d

from landuse.core.arrays import Floats, Pixels
from landuse.data.sources.sample import fields
from landuse.data.sources.sample.covers import Cover
from landuse.data.sources.sample.fields import Field
from landuse.data.sources.sample.landscape import CLASSES, Landscape, Places
from landuse.sensors import BANDS

_CLASS_OF = {  # covers that have the spectrum of a whole class
    Cover.WATER: "SeaLake",
    Cover.TREES: "Forest",
    Cover.GRASS: "Pasture",
    Cover.SHRUBS: "HerbaceousVegetation",
    Cover.CROP: "AnnualCrop",
    Cover.VINES: "PermanentCrop",
}
# how much of a class's variation within a tile comes from: parcels, coarse texture, fine texture, streaks
_TEXTURE: dict[Cover, tuple[float, float, float, float]] = {
    Cover.WATER: (0.0, 0.08, 0.0, 0.0),
    Cover.TREES: (0.1, 0.45, 0.8, 0.0),
    Cover.GRASS: (0.7, 0.4, 0.15, 0.15),
    Cover.SHRUBS: (0.0, 0.7, 0.3, 0.0),
    Cover.CROP: (1.0, 0.25, 0.06, 0.22),
    Cover.VINES: (0.75, 0.3, 0.12, 0.3),
}
_MATERIAL = (1.0, 0.15, 0.3, 0.0)
_PLANTS = (Cover.GRASS, Cover.SHRUBS, Cover.CROP, Cover.VINES, Cover.GARDEN)  # they change with the season
_WATER = (CLASSES.index("River"), CLASSES.index("SeaLake"))
_MIXED = {"Residential": 0.68, "Industrial": 0.95}  # contrast left where a pixel covers several things
# correlation of a class's state with that of another date; assumed, as the next number
_KEPT = {"Residential": 0.95, "Industrial": 0.95, "Forest": 0.8, "HerbaceousVegetation": 0.7}
_KEPT_OTHERS = 0.5
_SAME_CROP = 0.4  # part of the parcels whose plants look as on the other date
# blur of the optics and of resampling to 10 m: standard deviation in pixels, by the band's own resolution
_BLUR = {10: 0.6, 20: 1.0, 60: 2.8}
_TRUNCATE = 2.5  # standard deviations
_RESOLUTION = dict(zip(BANDS, (60, 10, 10, 10, 20, 20, 20, 10, 60, 60, 20, 20, 20), strict=True))
# DN; what one standard deviation of haze adds
_HAZE = np.array([75, 68, 55, 42, 35, 22, 18, 18, 8, 0, 8, 5, 15], np.float32)
_THICK_HAZE = np.array([300, 420, 260, 330, 250, 150, 120, 120, 60, 0, 60, 40, 100], np.float32)
_NOISE = np.array([4, 9, 8, 8, 7, 7, 8, 12, 4, 1, 6, 6, 8], np.float32)  # DN of the sensor


@cache
def statistics() -> dict[str, Any]:
    """The measured figures, see ``how`` in them."""
    content: dict[str, Any] = json.loads((files(__package__) / "band_statistics.json").read_text(encoding="utf-8"))
    return content


@dataclass(frozen=True)
class Acquisition:
    """What a date adds to the land.

    states: (zones, 3) where each zone stands on the components of its class's variation between patches. spectra:
    (zones, covers, bands) as climate, season and haze make them. coarse, fine: periodic fields of texture. parcels:
    (2, 3, 4096) where parcels stand on those within a patch: of covers that last, and of plants. streaks: (4096,).
    noise: of each band's sensor. light: of the sun, 1 is usual. shift: down and right, pixels.
    """

    states: Floats
    spectra: Field
    coarse: Field
    fine: Field
    parcels: Field
    streaks: Field
    noise: Sequence[Generator]
    light: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)


def acquire(rng: Generator, zone_class: Pixels, dry: float, period: int) -> Acquisition:
    """Draw what the first date adds.

    zone_class: (zones,) land use. dry: climate and season, -1 to 1. period: of the fields, pixels.
    """
    haze = _haze(rng)
    states = _states(rng, zone_class)
    coarse, fine = fields.von_karman(rng, period, 40, 1.8), fields.von_karman(rng, period, 4, 1.6)
    parcels = np.stack([_parcels(rng)] * 2)
    streaks = rng.standard_normal(4096, dtype=np.float32)
    spectra = _spectra(states, zone_class, dry, haze)
    return Acquisition(states, spectra, coarse, fine, parcels, streaks, rng.spawn(len(BANDS)))


def acquire_again(rng: Generator, before: Acquisition, zone_class: Pixels, dry: float) -> Acquisition:
    """Draw what a later date adds: other season, haze, sun and noise, and a shift below half a pixel.

    States are those of the first date in part, so that their spread stays the same. zone_class: (zones,) of then; zones
    that the first date has come first.
    """
    haze = _haze(rng)
    states, old = _states(rng, zone_class), len(before.states)
    kept = np.array([_KEPT.get(CLASSES[land_use], _KEPT_OTHERS) for land_use in zone_class[:old]])[:, None]
    states[:old] = kept * before.states + np.sqrt(1 - kept**2) * states[:old]
    plants = np.where(rng.random(4096) < _SAME_CROP, before.parcels[1], _parcels(rng))
    return replace(
        before,
        states=states,
        spectra=_spectra(states, zone_class, dry, haze),
        parcels=np.stack([before.parcels[0], plants]),
        noise=rng.spawn(len(BANDS)),
        light=rng.uniform(0.9, 1.1),
        shift=tuple(rng.uniform(-0.5, 0.5, 2).tolist()),
    )


def render(
    date: Acquisition, land: Landscape, bands: Sequence[str], rows: Places, columns: Places, inner: tuple[slice, slice]
) -> npt.NDArray[np.uint16]:
    """Light up a landscape: digital numbers, top-of-atmosphere reflectance x 10000.

    A band looks the same whichever others are asked for. Noise is drawn on: parts must be asked for in one order.

    rows, columns: of the landscape in the scene. inner: what is wanted of it; the rest is a margin that blurs into it.

    Returns:
        (height, width, bands) of the inner part.
    """
    table = date.spectra.reshape(-1, len(BANDS))
    spot = land.zone * np.uint32(len(Cover)) + land.cover
    scores = _scores(date, land, rows, columns)
    sunny = np.float32(date.light) * np.exp(np.float32(0.13) * land.shade)
    loadings = _loadings()
    image = np.empty((*land.cover[inner].shape, len(bands)), np.uint16)
    for i, name in enumerate(bands):
        band = BANDS.index(name)
        values = table[:, band].take(spot)
        for mode, score in enumerate(scores):
            values += loadings[mode, :, band].take(land.cover) * score
        values = np.maximum(values - _air()[band], 0) * sunny + _air()[band]
        values = _blurred(values, _BLUR[_RESOLUTION[name]], date.shift)[inner]
        values = values + _NOISE[band] * date.noise[band].standard_normal(values.shape, dtype=np.float32)
        image[..., i] = np.clip(values + np.float32(0.5), 1, 65535)
    return image


def _blurred(values: Field, sigma: float, shift: tuple[float, float]) -> Field:
    """Blur by a Gaussian, as ``scipy.ndimage.gaussian_filter`` does, whose centre is a fraction of a pixel away."""
    for axis, away in enumerate(shift):
        radius = int(_TRUNCATE * sigma + 0.5) + int(np.ceil(abs(away)))
        weights = np.exp(-0.5 / sigma**2 * (np.arange(-radius, radius + 1) + away) ** 2)
        values = correlate1d(values, weights / weights.sum(), axis)
    return values


def _haze(rng: Generator) -> Field:
    """(bands,) digital numbers."""
    haze: Field = np.clip(rng.normal(), -1.3, 2.5) * _HAZE + (rng.random() < 0.03) * _THICK_HAZE
    return haze


def _states(rng: Generator, zone_class: Pixels) -> Floats:
    """(zones, 3) of variance 1; most water is clear, some is very turbid."""
    states: Floats = rng.standard_normal((len(zone_class), 3))
    water = np.flatnonzero(np.isin(zone_class, _WATER))
    states[water] = np.clip(rng.exponential(1, (len(water), 3)) - 1, None, 3)
    return states


def _spectra(states: Floats, zone_class: Pixels, dry: float, haze: Field) -> Field:
    """(zones, covers, bands): mean spectrum of each cover in each zone."""
    scores = states.copy()
    land = ~np.isin(zone_class, _WATER)
    scores[land, 0] = 0.6 * dry + 0.8 * scores[land, 0]
    classes = statistics()["classes"]
    spectra = np.repeat(_means()[None], len(zone_class), 0)
    for zone, land_use in enumerate(zone_class):
        name = "SeaLake" if land_use in _WATER else CLASSES[land_use]
        if name in _MIXED:
            mean = np.array(classes[name]["mean"])
            spectra[zone] = mean + _MIXED[name] * (spectra[zone] - mean)
        change = np.clip(scores[zone], -2.2, 3) @ np.array(classes[name]["components_between_patches"])
        spectra[zone] += change + haze
    return spectra.astype(np.float32)


def _parcels(rng: Generator) -> Field:
    """(3, 4096)."""
    parcels = rng.standard_normal((3, 4096), dtype=np.float32)
    parcels[0] = 0.6 * parcels[0] + 0.8 * np.sign(rng.standard_normal(4096))  # crops: bare or grown
    return parcels


def _scores(date: Acquisition, land: Landscape, rows: Places, columns: Places) -> list[Field]:
    """Where each pixel stands on the three components of its cover's variation within a tile."""
    period = len(date.coarse)
    parcel, coarse, fine, streaky = (
        np.array([_TEXTURE.get(cover, _MATERIAL)[k] for cover in Cover], np.float32).take(land.cover) for k in range(4)
    )
    streak = date.streaks[fields.number(land.parcel, np.floor(land.streak)) & np.uint16(4095)]
    plants = np.isin(list(Cover), _PLANTS).astype(np.uint8).take(land.cover)
    number = land.parcel & np.uint16(4095)
    scores = []
    for mode in range(3):
        # the same fields elsewhere are independent enough
        down, right = rows - mode * period // 3, columns - mode * period // 5
        scores.append(
            parcel * date.parcels[plants, mode, number]
            + coarse * fields.at(date.coarse, down, right)
            + fine * fields.at(date.fine, down, right)
            + (streaky * streak if mode < 2 else 0)
        )
    return scores


@cache
def _means() -> Field:
    """(covers, bands)."""
    found = statistics()
    means = [
        found["classes"][_CLASS_OF[c]]["mean"] if c in _CLASS_OF else found["materials"][c.name.lower()] for c in Cover
    ]
    return np.array(means, np.float32)


@cache
def _air() -> Field:
    """(bands,): what the air adds, whatever lies below: the clearest water has little more."""
    water = statistics()["classes"]["SeaLake"]
    air: Field = np.maximum(np.subtract(water["mean"], water["std_between_patches"]), 4).astype(np.float32)
    return air


@cache
def _loadings() -> Field:
    """(3, covers, bands): components of the variation within a tile; materials only vary in brightness."""
    classes = statistics()["classes"]
    loadings = np.zeros((3, len(Cover), len(BANDS)), np.float32)
    for cover in Cover:
        if cover in _CLASS_OF:
            loadings[:, cover] = classes[_CLASS_OF[cover]]["components_within_patch"]
        else:
            loadings[0, cover] = 0.12 * _means()[cover]
    return loadings
