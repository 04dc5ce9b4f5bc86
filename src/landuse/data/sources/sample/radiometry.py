"""From a landscape to what Sentinel-2 measures: digital numbers in its 13 bands.

Spectra, their variation between and within tiles and its correlation between bands are those of 469
real EuroSAT patches (``band_statistics.json`` says how they were measured).
"""

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.random import Generator
from scipy.ndimage import gaussian_filter

from landuse.data.sources.sample import fields
from landuse.data.sources.sample.covers import Cover
from landuse.data.sources.sample.fields import Field
from landuse.data.sources.sample.landscape import CLASSES, Landscape
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
_MIXED = {"Residential": 0.68, "Industrial": 0.95}  # contrast left where a pixel covers several things
# blur of the optics and of resampling to 10 m: standard deviation in pixels, by the band's own resolution
_BLUR = {10: 0.6, 20: 1.0, 60: 2.8}
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


def render(rng: Generator, land: Landscape, bands: Sequence[str]) -> npt.NDArray[np.uint16]:
    """Light up a landscape: (size, size, bands) digital numbers, top-of-atmosphere reflectance x 10000.

    A band looks the same whichever others are asked for.
    """
    size = len(land.cover)
    table = _zone_spectra(rng, land).reshape(-1, len(BANDS))
    spot = land.zone.astype(np.uint16) * np.uint16(len(Cover)) + land.cover
    scores = _scores(rng, land)
    sunny = np.exp(np.float32(0.13) * land.shade)
    noise = rng.spawn(len(BANDS))
    loadings = _loadings()
    image = np.empty((size, size, len(bands)), np.uint16)
    for i, name in enumerate(bands):
        band = BANDS.index(name)
        values = table[:, band].take(spot)
        for mode, score in enumerate(scores):
            values += loadings[mode, :, band].take(land.cover) * score
        values = np.maximum(values - _air()[band], 0) * sunny + _air()[band]
        values = gaussian_filter(values, _BLUR[_RESOLUTION[name]], truncate=2.5)
        values += _NOISE[band] * noise[band].standard_normal(values.shape, dtype=np.float32)
        image[..., i] = np.clip(values + np.float32(0.5), 1, 65535)
    return image


def _zone_spectra(rng: Generator, land: Landscape) -> Field:
    """(zones, covers, bands): mean spectrum of each cover in each zone, as climate, season and haze make it."""
    zones = len(land.zone_class)
    haze = np.clip(rng.normal(), -1.3, 2.5) * _HAZE + (rng.random() < 0.03) * _THICK_HAZE
    scores = rng.standard_normal((zones, 3))
    scores[:, 0] = 0.6 * land.dry + 0.8 * scores[:, 0]
    classes = statistics()["classes"]
    spectra = np.repeat(_means()[None], zones, 0)
    for zone, land_use in enumerate(land.zone_class):
        name = CLASSES[land_use]
        if name in ("SeaLake", "River"):  # most water is clear, some is very turbid
            name, scores[zone] = "SeaLake", np.clip(rng.exponential(1, 3) - 1, None, 3)
        if name in _MIXED:
            mean = np.array(classes[name]["mean"])
            spectra[zone] = mean + _MIXED[name] * (spectra[zone] - mean)
        change = np.clip(scores[zone], -2.2, 3) @ np.array(classes[name]["components_between_patches"])
        spectra[zone] += change + haze
    return spectra.astype(np.float32)


def _scores(rng: Generator, land: Landscape) -> list[Field]:
    """Where each pixel stands on the three components of its cover's variation within a tile."""
    size = len(land.cover)
    coarse = fields.von_karman(rng, size, 40, 1.8)
    fine = fields.von_karman(rng, size, 4, 1.6)
    of_parcel = rng.standard_normal((3, 4096), dtype=np.float32)
    of_parcel[0] = 0.6 * of_parcel[0] + 0.8 * np.sign(rng.standard_normal(4096))  # crops: bare or grown
    of_streak = rng.standard_normal(4096, dtype=np.float32)
    parcel, coarse_share, fine_share, streak_share = (
        np.array([_TEXTURE.get(cover, _MATERIAL)[k] for cover in Cover], np.float32).take(land.cover) for k in range(4)
    )
    streak = of_streak[fields.number(land.parcel, np.floor(land.streak)) & np.uint16(4095)]
    scores = []
    for mode in range(3):
        shift = (mode * size // 3, mode * size // 5)  # the same fields elsewhere are independent enough
        scores.append(
            parcel * of_parcel[mode][land.parcel & np.uint16(4095)]
            + coarse_share * np.roll(coarse, shift, (0, 1))
            + fine_share * np.roll(fine, shift, (0, 1))
            + (streak_share * streak if mode < 2 else 0)
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
