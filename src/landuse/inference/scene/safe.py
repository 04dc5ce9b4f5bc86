"""Products as ESA delivers them: a SAFE folder, or a zip of one."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene.masks import RasterMask, classification
from landuse.inference.scene.product import Found, Product, metres_in

METADATA = re.compile(r"MTD_MSI(L1C|L2A)\.xml")
# the offset and the quantification of each level
_TAGS = {"L1C": ("RADIO_ADD_OFFSET", "QUANTIFICATION_VALUE"), "L2A": ("BOA_ADD_OFFSET", "BOA_QUANTIFICATION_VALUE")}


@dataclass(frozen=True)
class Folder:
    """A folder or a zip: the names of its files, how GDAL names them, what they hold."""

    path: Path

    @property
    def names(self) -> list[str]:
        if self.path.is_dir():
            return sorted(file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if file.is_file())
        try:
            with zipfile.ZipFile(self.path) as file:
                return sorted(file.namelist())
        except zipfile.BadZipFile as error:
            raise UserError(f"{self.path} is damaged ({error}): copy it again") from None

    def gdal(self, name: str) -> str:
        return str(self.path / name) if self.path.is_dir() else f"/vsizip/{self.path.absolute()}/{name}"

    def read(self, name: str) -> bytes:
        if self.path.is_dir():
            return (self.path / name).read_bytes()
        with zipfile.ZipFile(self.path) as file:
            return file.read(name)


def find(folder: Folder) -> Product | None:
    """Read the metadata of a product; None where the folder is none.

    Raises:
        UserError: the metadata are damaged, or of several products.
    """
    names = folder.names
    metadata = [name for name in names if METADATA.fullmatch(PurePosixPath(name).name)]
    if not metadata:
        return None
    if len(metadata) > 1:
        raise UserError(f"{folder.path} holds {len(metadata)} products: give one of them")
    level = PurePosixPath(metadata[0]).stem[-3:]
    try:
        tree = ElementTree.fromstring(folder.read(metadata[0]))
        scales = _scales(tree, level)
    except (ElementTree.ParseError, zipfile.BadZipFile, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{metadata[0]} of {folder.path} is damaged ({error}): copy the product again") from None
    base = metadata[0].removesuffix(PurePosixPath(metadata[0]).name)
    images = [n for n in names if n.startswith(base) and "/IMG_DATA/" in n and n.endswith((".jp2", ".tif"))]
    return Product(
        bands=tuple(band for name in images if (band := _band(folder, name, level, scales))),
        level=level,
        date=tree.findtext(".//PRODUCT_START_TIME"),
        clouds=_clouds(folder, names, images),
        many=True,
    )


def _band(folder: Folder, name: str, level: str, scales: dict[str, tuple[float, float]]) -> Found | None:
    stem = PurePosixPath(name).stem
    band = sensors.band(stem)
    if band is None:
        return None
    gain, offset = scales[band]
    source = f"{_TAGS[level][0]} of the product's metadata" if offset else "the product's metadata"
    return Found(folder.gdal(name), 1, band, "by its file's name", metres_in(stem), gain, offset, source)


def _scales(tree: ElementTree.Element, level: str) -> dict[str, tuple[float, float]]:
    """(gain, offset) of each band by name; without offsets the baseline is before 04.00."""
    offset, quantification = _TAGS[level]
    by_id = {e.attrib["band_id"]: float(e.text or "") for e in tree.iter(offset)}
    gain = 10_000 / float(tree.findtext(f".//{quantification}") or "")
    names = {e.attrib["bandId"]: sensors.band(e.attrib["physicalBand"]) for e in tree.iter("Spectral_Information")}
    if by_id and not set(names) <= set(by_id):
        raise ValueError(f"{offset} of {len(by_id)} bands, not of {len(names)}")
    return {name: (gain, by_id.get(number, 0.0) * gain) for number, name in names.items() if name}


def _clouds(folder: Folder, names: list[str], images: list[str]) -> tuple[RasterMask, ...]:
    """The finest scene classification of L2A, or the cloud classification of L1C since baseline 04.00."""
    layers = sorted((n for n in images if "_SCL_" in n), key=metres_in)
    if layers:
        return (classification(folder.gdal(layers[0]), 1),)
    # of its three bands, opaque clouds, cirrus and snow, the first two
    return tuple(RasterMask(folder.gdal(n), (1, 2)) for n in names if n.endswith("/QI_DATA/MSK_CLASSI_B00.jp2"))
