"""EuroSAT (Helber et al. 2019, doi:10.1109/JSTARS.2019.2918242): 27,000 labelled tiles of Sentinel-2 L1C.

Two forms of the same tiles: RGB as JPEGs, and all 13 bands as GeoTIFFs with coordinates. 64 x 64
pixels of 10 m; images from before 2022, hence without a radiometric offset.
"""

import hashlib
import re
from collections import Counter

import numpy as np

from landuse import params, sensors
from landuse.core.errors import UserError
from landuse.data.sources import archive
from landuse.data.sources.collection import Collection, Tile
from landuse.data.sources.fetch import Address, fetch
from landuse.pictures import BadTile, decode

SIZE = 64  # pixels
LICENCE = "MIT (EuroSAT), Copernicus Sentinel data terms"
_EUROPE = (27.0, 72.0, -32.0, 46.0)  # degrees: from the Canary Islands and the Azores to Finland and Turkey
# content digests of the 27,000 files, whichever container they come in; see tiles.content_digest
RGB_DIGEST = "feefa5e365ffbf7cf1bf39f68dc5e96efc80f5234d9c1b91889277593b3627e1"
MS_DIGEST = "bfc05fc576e24abe5412012c25ce8123904d4d1a2b29af15bd88046f3b474e9b"

_ZENODO = "https://zenodo.org/records/7711810/files"
_TORCHGEO = "https://huggingface.co/datasets/torchgeo/eurosat/resolve"
RGB_ADDRESSES = (
    Address(
        f"{_ZENODO}/EuroSAT_RGB.zip?download=1",
        "sha256:b4f5b234ecb7d7ff9c6cddb046543b4717c53fd6e9815be6c0e80cc614f51b90",
    ),
    # torchvision.datasets.EuroSAT fetches this one: same images, another zip
    Address(
        f"{_TORCHGEO}/c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip", "md5:c8fa014336c82ac7804f0398fcb19387"
    ),
)
MS_ADDRESSES = (
    Address(f"{_ZENODO}/EuroSAT_MS.zip?download=1", "md5:091174add3c8e680a49244acf185b9f0"),
    Address(
        f"{_TORCHGEO}/1ce6f1bfb56db63fd91b6ecc466ea67f2509774c/EuroSATallBands.zip",
        "sha256:751f070f9bffa2eed48b24ca2dd0b02959280c08837e8c9a5532a67ba611df59",
    ),
)
_REMEDY = (
    "when offline, download it elsewhere and give its path (-S data.url=PATH), "
    "or use the simulated tiles (-S data.source=sample)"
)
_FILE = re.compile(r"(\w+)/\1_\d+(\.jpg|\.tif)")
_SOURCES: dict[str, params.SourceName] = {".jpg": "eurosat_rgb", ".tif": "eurosat_ms"}


def collection(data: params.Data) -> Collection:
    """Open EuroSAT: (64, 64, 3) uint8, as its authors made it of 0..2750 digital numbers, or (64, 64, C) uint16.

    ``eurosat_ms`` can give either; its RGB is made in the same way.
    """
    chosen = sensors.choose(data.bands)
    if chosen.sensor is not sensors.SENTINEL2:
        raise UserError(f"data.bands are of {chosen.sensor.name}, EuroSAT is Sentinel-2's: use its bands, B02 ...")
    if data.source == "eurosat_rgb":
        if data.bands != "rgb":
            raise UserError(
                f"data.bands is {data.bands!r}, but eurosat_rgb has RGB alone: use -S data.source=eurosat_ms"
            )
        files = _open(data, RGB_ADDRESSES, ".jpg")

        def read(name: str) -> Tile:
            content = files.read(name)
            return Tile(np.asarray(decode(content)), hashlib.sha256(content).hexdigest())

    else:
        from landuse.data.sources import geotiff

        files = _open(data, MS_ADDRESSES, ".tif")
        places = [sensors.BANDS.index(band) for band in chosen.bands]

        def read(name: str) -> Tile:
            content = files.read(name)
            numbers, place = geotiff.decode(content, SIZE, len(sensors.BANDS))
            if chosen.bands != sensors.BANDS:
                numbers = numbers[..., places]
            empty = np.flatnonzero(~numbers.any(axis=(0, 1)))
            if len(empty):  # the darkest digital number of a product is 1
                raise BadTile(f"band {chosen.bands[empty[0]]} is 0 everywhere: no data")
            pixels = sensors.to_rgb(numbers) if chosen.units == sensors.RGB_UNITS else numbers
            return Tile(pixels, hashlib.sha256(content).hexdigest(), place)

    return Collection(
        source=data.source,
        names=files.names,
        read=read,
        bands=chosen.bands,
        size=SIZE,
        dtype=chosen.dtype,
        units=chosen.units,
        channels=chosen.channels,
        ground_resolution=10.0,
        licence=LICENCE,
        digest=RGB_DIGEST if data.source == "eurosat_rgb" else MS_DIGEST,
        official_only=data.url is None,
        area=_EUROPE,
    )


def _open(data: params.Data, addresses: tuple[Address, ...], extension: str) -> archive.Archive:
    if data.tile_size != SIZE:
        raise UserError(
            f"data.tile_size is {data.tile_size}, but EuroSAT's tiles have {SIZE} pixels: "
            f"use -S data.tile_size={SIZE}, and model.input_size for another size in the model"
        )

    seen: Counter[str] = Counter()  # EuroSAT's files of both forms

    def is_tile(name: str) -> bool:
        match = _FILE.fullmatch(name)
        if match:
            seen[match[2]] += 1
        return match is not None and match[2] == extension

    try:
        if data.url is not None:
            return archive.open_url(data.url, is_tile)
        return archive.open_path(fetch(addresses, _REMEDY, archive.fault), is_tile)
    except archive.NoTilesError:
        where, wanted = data.url or "the download", f"{data.source} reads <Class>/<Class>_<number>{extension}"
        if not seen:
            remedy = "for images of your own use -S data.source=folder"
            raise UserError(f"no tile of EuroSAT in {where}: {wanted}; {remedy}") from None
        ((other, count),) = seen.items()
        raise UserError(
            f"{where} holds {count:,} files <Class>_<number>{other} of EuroSAT, but {wanted}: "
            f"use -S data.source={_SOURCES[other]}, or let data.url lead to the {extension} files"
        ) from None
