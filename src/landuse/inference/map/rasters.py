"""Rasters of cells as Cloud-Optimised GeoTIFFs, and how QGIS paints classes."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import rasterio
from affine import Affine
from rasterio.shutil import copy

from landuse.inference.map.cells import NODATA, OOD, SHARE, Bytes
from landuse.palette import rgb


def write_classes(path: Path, classes: Bytes, place: dict[str, Any], colours: dict[str, str], about: str) -> None:
    """Write numbers of classes, their names (GDAL keeps them in a file beside it) and a style for QGIS (.qml).

    place: crs and transform of the cells. colours: of each class, in order. about: name of the band.
    """
    with rasterio.MemoryFile() as memory:
        with memory.open(**_profile(classes[None], place)) as file:
            file.write(classes, 1)
            file.set_band_description(1, about)
            file.write_colormap(1, {number: (*rgb(colour), 255) for number, colour in enumerate(colours.values())})
            file.update_tags(1, **{str(number): name for number, name in enumerate(colours)})
        _write_cog(memory, path)
    dataset = ElementTree.Element("PAMDataset")
    names = ElementTree.SubElement(ElementTree.SubElement(dataset, "PAMRasterBand", band="1"), "CategoryNames")
    for name in colours:
        ElementTree.SubElement(names, "Category").text = name
    _write_xml(path.with_name(f"{path.name}.aux.xml"), dataset)
    _write_style(path.with_suffix(".qml"), colours)


def write_bands(path: Path, bands: Bytes, place: dict[str, Any], names: list[str], scales: list[float]) -> None:
    """Write (bands, rows, cols), with the name and the scale of each band."""
    with rasterio.MemoryFile() as memory:
        with memory.open(**_profile(bands, place)) as file:
            file.write(bands)
            file.descriptions, file.scales = names, scales
        _write_cog(memory, path)


def write_scores(folder: Path, scores: Bytes, place: dict[str, Any], classes: list[str]) -> None:
    """Write scores.tif: (classes + 3, rows, cols) as ``Cells`` has them."""
    names = [*(f"probability {name}" for name in classes), "entropy", "abstained", "ood"]
    write_bands(folder / "scores.tif", scores, place, names, [*[1 / SHARE] * (len(classes) + 1), 1.0, 1 / OOD])


def _profile(bands: Bytes, place: dict[str, Any]) -> dict[str, Any]:
    count, height, width = bands.shape
    return {
        "driver": "GTiff",
        "count": count,
        "height": height,
        "width": width,
        "dtype": "uint8",
        "nodata": NODATA,
        "photometric": "minisblack",  # three bands are no picture
        **place,
    }


def _write_cog(source: rasterio.MemoryFile, path: Path) -> None:
    """Write it in memory first: GDAL hides what the disk says."""
    with rasterio.MemoryFile(ext=".tif") as memory:
        copy(source.name, memory.name, driver="COG", compress="deflate", overview_resampling="nearest", blocksize=256)
        path.write_bytes(memory.getbuffer())


def _write_style(path: Path, colours: dict[str, str]) -> None:
    style = ElementTree.Element("qgis", version="3.28", styleCategories="Symbology")
    pipe = ElementTree.SubElement(style, "pipe")
    painted = {"type": "paletted", "band": "1", "opacity": "1", "alphaBand": "-1"}
    palette = ElementTree.SubElement(ElementTree.SubElement(pipe, "rasterrenderer", painted), "colorPalette")
    for number, (name, colour) in enumerate(colours.items()):
        entry = {"value": str(number), "label": name, "color": colour, "alpha": "255"}
        ElementTree.SubElement(palette, "paletteEntry", entry)
    _write_xml(path, style)


def _write_xml(path: Path, root: ElementTree.Element) -> None:
    ElementTree.indent(root)
    path.write_bytes(ElementTree.tostring(root) + b"\n")


def of_cells(transform: Affine, stride: int) -> Affine:
    """The transform of cells on the grid of a scene's pixels."""
    return transform @ Affine.scale(stride)
