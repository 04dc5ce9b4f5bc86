"""What was found at the paths: bands of rasters, with what names and metadata say of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from pathlib import PurePath

from landuse import sensors
from landuse.core.errors import UserError
from landuse.inference.scene.masks import RasterMask

Log = list[str]  # decisions, in words


@dataclass(frozen=True)
class Found:
    """A band of a raster.

    path: as GDAL names it. index: from 1. name: as sensors.BANDS has it, else in small letters; None: nameless. how: it
    got its name. metres: of a pixel, where the product offers several. gain, offset: what its metadata say,
    digital numbers (reflectance x 10000) = gain x value + offset, None: nothing; source: which metadata.
    """

    path: str
    index: int
    name: str | None
    how: str
    metres: float = inf
    gain: float | None = None
    offset: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Product:
    """One acquisition. level: "L1C", "L2A" or None. date: ISO 8601 or None. clouds: masks that came with it.

    many: bands are there several times, by resolution or format, and the first of the finest is meant.
    """

    bands: tuple[Found, ...]
    level: str | None = None
    date: str | None = None
    clouds: tuple[RasterMask, ...] = ()
    many: bool = False

    def pick(self, wanted: Sequence[str], log: Log) -> tuple[Found, ...]:
        """Return the bands that a model wants, in its order.

        Raises:
            UserError: one is missing, or there twice.
        """
        picked = []
        for name in map(sensors.spelled, wanted):
            same = sorted((band for band in self.bands if band.name == name), key=lambda band: band.metres)
            if not same:
                there = {band.name for band in self.bands}
                raise UserError(self._lacks([name for name in wanted if sensors.spelled(name) not in there]))
            if len(same) > 1 and not self.many:
                raise UserError(
                    f"{name} is there twice, as {_place(same[0])} and as {_place(same[1])}: "
                    "give one, or say with --bands what each is"
                )
            picked.append(same[0])
        log += [f"{band.name} is {_place(band)}, {band.how}" for band in picked]
        return tuple(picked)

    def _lacks(self, missing: list[str]) -> str:
        names = [band.name for band in self.bands if band.name]
        path, nameless = self.bands[0].path, len(self.bands) - len(names)
        if nameless:
            return (
                f"{nameless} of {len(self.bands)} bands of {path} have no names: say which are "
                f"{', '.join(missing)} (--bands NAME=NUMBER,NAME=NUMBER), or name all in their order"
                + _orders(len(self.bands))
            )
        told = "" if self.many else ", or say with --bands what the bands are"
        known = ", ".join(sorted({*names}))
        return f"no band {', '.join(missing)} among {known} of {path}: give a scene that has it{told}"


def _orders(count: int) -> str:
    """The usual orders of Sentinel-2's bands, as an option, where there are so many."""
    usual = {"EuroSAT's": sensors.BANDS, "by wavelength": sensors.BANDS_BY_WAVELENGTH}
    told = "; ".join(f"{order}: --bands {','.join(names)}" for order, names in usual.items())
    return f" ({told})" if count == len(sensors.BANDS) else ""


def baseline_offset(baseline: str) -> int:
    """The offset of digital numbers since a processing baseline like "04.00", by ESA."""
    return -1000 if int(baseline.replace(".", "")) >= 400 else 0


def date_in(path: str) -> str | None:
    """The time of acquisition in a file's name like T32UMU_20210908T042701_B04.jp2, as ISO 8601."""
    found = re.search(r"_(20\d\d)(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?!\d)", path)
    return "{}-{}-{}T{}:{}:{}Z".format(*found.groups()) if found else None


def metres_in(text: str) -> float:
    """The size of a pixel in a name like B04_10m; infinite without."""
    found = re.search(r"_([126]0)m(?![A-Za-z0-9])", text)
    return float(found[1]) if found else inf


def _place(band: Found) -> str:
    return f"band {band.index} of {PurePath(band.path).name}"
