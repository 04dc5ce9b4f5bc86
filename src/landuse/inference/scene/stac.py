"""A STAC item: its assets, and what its properties say of them."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import urlopen

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene.masks import classification
from landuse.inference.scene.product import Found, Product, baseline_offset, metres_in

_PATIENCE = 60  # seconds that a server may say nothing
_LARGEST = 2**24  # bytes of an item
_SCHEMES = {"https": "/vsicurl/https://", "http": "/vsicurl/http://", "s3": "/vsis3/", "gs": "/vsigs/"}
_NO_BANDS = {"thumbnail", "overview", "visual", "metadata", "preview", "rendered_preview", "tci"}  # roles, and keys
_RASTERS = (".tif", ".tiff", ".vrt", ".jp2")

Json = dict[str, Any]


def is_item(path: str) -> bool:
    """Whether a path looks like that of an item: JSON, or an address that does not end like a raster's."""
    parts = urlsplit(path)
    ending = Path(parts.path).suffix.lower()
    return ending in (".json", ".geojson") or (
        parts.scheme in ("http", "https") and ending not in (*_RASTERS, ".zip", ".xml")
    )


def find(path: str) -> Product:
    """Read an item, a file or an address.

    Raises:
        UserError: it cannot be read, or is none.
    """
    item = _load(path)
    properties = item.get("properties") or {}
    bands = [band for key, asset in item["assets"].items() for band in _bands(key, asset, path, properties)]
    words = f"{item.get('collection', '')} {item.get('id', '')} {properties.get('processing:level', '')}".upper()
    level = re.search(r"L1C|L2A", words)
    layer = next((band for band in bands if band.name == "scl"), None)
    return Product(
        bands=tuple(sorted(bands, key=lambda band: not band.path.endswith((".tif", ".tiff")))),  # before JPEG 2000
        level=level[0] if level else None,
        date=properties.get("datetime") or properties.get("start_datetime"),
        clouds=(classification(layer.path, layer.index),) if layer else (),
        many=True,
    )


def _load(path: str) -> Json:
    try:
        if urlsplit(path).scheme in ("http", "https"):
            with urlopen(path, timeout=_PATIENCE) as answer:
                content = answer.read(_LARGEST)
        else:
            content = Path(path).read_bytes()
        item = json.loads(content)
    except (OSError, ValueError) as error:  # OSError: of the file, and of the network
        raise UserError(f"{path} cannot be read as a STAC item ({error}): check the address") from error
    if not isinstance(item, dict) or item.get("type") != "Feature" or not isinstance(item.get("assets"), dict):
        raise UserError(f"{path} is no STAC item (a Feature with assets): give the address of one item")
    found: Json = item
    return found


def _bands(key: str, asset: Json, path: str, properties: Json) -> list[Found]:
    if "href" not in asset or _NO_BANDS & {key.lower(), *asset.get("roles", [])}:
        return []
    many = asset.get("bands") or asset.get("eo:bands") or [{}]
    rasters = asset.get("raster:bands") or [{}] * len(many)
    found = []
    for index, (band, raster) in enumerate(zip(many, rasters, strict=False), 1):
        name, how = _name(key, band, len(many))
        about = asset | band | raster
        metres = about.get("gsd") or about.get("spatial_resolution") or metres_in(key)
        found.append(Found(_gdal(path, asset["href"]), index, name, how, metres, *_scale(about, properties)))
    return [band for band in found if band.name]


def _name(key: str, band: Json, of: int) -> tuple[str | None, str]:
    """By the band's name, by the key of an asset of one band, by the common name, which two bands may share."""
    if re.fullmatch(r"scl(_\d\dm)?", key.lower()):
        return "scl", f"by its key {key!r}"
    common = band.get("common_name") or band.get("eo:common_name")
    by_name, by_key = sensors.band(band.get("name") or ""), sensors.band(key) if of == 1 else None
    if by_name and by_key and by_name != by_key:
        raise UserError(
            f"the asset {key!r} is {by_key} by its key and {by_name} by its name: give the rasters themselves"
        )
    for text, how in ((band.get("name"), "name"), (key if of == 1 else None, "key"), (common, "common name")):
        if text and (name := sensors.band(text)):
            return name, f"by its {how} {text!r}"
    return None, ""


def _scale(about: Json, properties: Json) -> tuple[float, float | None, str]:
    """gain, offset and source of ``Found``. What Earth Search says it did outranks the scale it copied."""
    scale = about.get("scale", about.get("raster:scale"))
    offset = about.get("offset", about.get("raster:offset"))
    gain = 1.0 if scale is None else scale * 10_000
    if properties.get("earthsearch:boa_offset_applied"):
        return gain, 0.0, "earthsearch:boa_offset_applied"
    if offset is not None:
        return gain, offset * 10_000 if scale is not None else offset, "raster:bands"
    baseline = properties.get("s2:processing_baseline") or properties.get("processing:version")
    if re.fullmatch(r"\d\d\.\d\d", str(baseline)):
        return gain, float(baseline_offset(str(baseline))), f"processing baseline {baseline}"
    return gain, None, "the item"


def _gdal(path: str, href: str) -> str:
    """How GDAL names an asset, whose address may be relative to that of its item."""
    if urlsplit(path).scheme in ("http", "https"):
        href = urljoin(path, href)
    scheme, _, rest = href.partition("://")
    if rest:
        return _SCHEMES[scheme] + rest if scheme in _SCHEMES else href
    return href if href.startswith("/") else str(Path(path).parent / href)
