"""The sample: labelled tiles cut from simulated Sentinel-2 scenes. No network, and the same bytes every time."""

import hashlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from tqdm import tqdm

from landuse import params, sensors
from landuse.core.errors import UserError, did_you_mean
from landuse.data.sources.collection import Collection, GeoRef, Tile
from landuse.data.sources.sample import simulation
from landuse.data.sources.sample.cutting import cut
from landuse.data.sources.sample.landscape import CLASSES
from landuse.data.sources.sample.simulation import Simulation

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
    tiles: dict[str, Tile] = {}
    scenes: dict[str, tuple[int, Simulation]] = {}
    for name, tile, scene in _tiles(data.sample.seed, data.sample.tiles_per_class, data.tile_size, chosen):
        tiles[name], scenes[name] = tile, scene
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
        simulated=_surroundings(data, scenes),
    )


def _surroundings(data: params.Data, scenes: Mapping[str, tuple[int, Simulation]]) -> Callable[[str, str], str] | None:
    """Make the simulated rasters that ``data.layers`` asks for; see ``Collection``. scenes: of the tiles."""
    asked = [name for name in data.layers if data.layer_tables[name].path == "sample"]
    if not asked:
        return None
    from rasterio.io import MemoryFile  # loads GDAL

    from landuse.data.sources.sample import surroundings

    for name in asked:
        if name not in surroundings.KINDS:
            known = did_you_mean(name, surroundings.KINDS)
            raise UserError(f"layer {name} has the path 'sample', whose layers are dem and ndvi{known}")
    files: dict[tuple[str, int], MemoryFile] = {}
    for index, scene in tqdm(dict(scenes.values()).items(), desc="layers", unit="scene", delay=2, disable=None):
        found = surroundings.draw(data.sample.seed, index, scene)
        files |= {(name, index): surroundings.in_memory(surroundings.KINDS[name], found, scene) for name in asked}
    return lambda layer, tile: str(files[layer, scenes[tile][0]].name)


def _tiles(
    seed: int, per_class: int, size: int, chosen: sensors.Choice
) -> Iterator[tuple[str, Tile, tuple[int, Simulation]]]:
    """Yield names, tiles and their scenes, scene by scene; what is still wanting decides what the next shows most."""
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
            tile = f"{name}/{name}_{per_class - wanting[name] + 1:0{digits}}"
            yield tile, Tile(pixels, sha256, place), (index, scene)
            wanting[name] -= 1
        index += 1


def _weights(wanting: Mapping[str, int]) -> dict[str, float]:
    """How common each land use is in the next scene; a little of each stays in it."""
    total = max(1, sum(wanting.values()))
    weights = {name: max(count / total, 0.02) for name, count in wanting.items()}
    return weights | {name: min(3.0, 12 * wanting[name] / total) for name in ("Highway", "River")}
