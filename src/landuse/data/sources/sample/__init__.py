"""The sample: labelled tiles cut from simulated Sentinel-2 scenes. No network, and the same bytes every time."""

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.data.sources.collection import Collection, GeoRef, Tile
from landuse.data.sources.sample import simulation
from landuse.data.sources.sample.cutting import cut
from landuse.data.sources.sample.landscape import CLASSES

LICENCE = "MIT (simulated by landuse; no real imagery)"
_LARGEST = 256  # pixels: a scene of larger tiles would take minutes
_SCENE, _ZONE = 512, 130  # pixels: smallest scene and mean width of its zones, of tiles of 64 and less


def collection(data: params.Data) -> Collection:
    """Simulate scenes until every class has its tiles; all of them stay in memory.

    Returns:
        Tiles of uint8 RGB made as EuroSAT made its own, or uint16 digital numbers of other bands; with UTM
        coordinates either way. What a scene shows, and the cuts, are the same for all.
    """
    if data.tile_size > _LARGEST:
        raise UserError(
            f"data.tile_size is {data.tile_size}, but the sample has no tiles above {_LARGEST}: choose less"
        )
    chosen = sensors.choose(data.bands)
    if chosen.sensor is not sensors.SENTINEL2:
        raise UserError(f"data.bands are of {chosen.sensor.name}, the sample is Sentinel-2's: use its bands, B02 ...")
    tiles = dict(_tiles(data.sample.seed, data.sample.tiles_per_class, data.tile_size, chosen))
    return Collection(
        source="sample",
        names=sorted(tiles),
        read=tiles.__getitem__,
        bands=chosen.bands,
        size=data.tile_size,
        dtype=chosen.dtype,
        units=chosen.units,
        channels=chosen.channels,
        ground_resolution=10.0,
        licence=LICENCE,
    )


def _tiles(seed: int, per_class: int, size: int, chosen: sensors.Choice) -> Iterator[tuple[str, Tile]]:
    """Yield names and tiles, scene by scene; what is still wanting decides what the next scene shows most."""
    wanting = dict.fromkeys(CLASSES, per_class)
    seen: set[str] = set()
    rgb = chosen.units == sensors.RGB_UNITS
    digits = max(3, len(str(per_class)))
    rng, index = np.random.default_rng(seed), 0
    while any(wanting.values()):
        scene = simulation.draw(seed, index, max(_SCENE, 8 * size), max(_ZONE, 2 * size), _weights(wanting))
        everywhere = np.arange(scene.plan.size)
        [(land_use, image)] = simulation.look([scene], chosen.bands, everywhere, everywhere)
        for name, top, left in cut(rng, land_use, size, wanting):
            window = image[top : top + size, left : left + size]
            pixels = sensors.to_rgb(window) if rgb else np.ascontiguousarray(window)
            sha256 = hashlib.sha256(pixels.tobytes()).hexdigest()
            if sha256 in seen:
                continue
            seen.add(sha256)
            west, north = float(scene.west + 10 * left), float(scene.north - 10 * top)
            place = GeoRef(scene.epsg, west, north - 10 * size, west + 10 * size, north)
            yield f"{name}/{name}_{per_class - wanting[name] + 1:0{digits}}", Tile(pixels, sha256, place)
            wanting[name] -= 1
        index += 1


def _weights(wanting: Mapping[str, int]) -> dict[str, float]:
    """How common each land use is in the next scene; a little of each stays in it."""
    total = max(1, sum(wanting.values()))
    weights = {name: max(count / total, 0.02) for name, count in wanting.items()}
    return weights | {name: min(3.0, 12 * wanting[name] / total) for name in ("Highway", "River")}
