"""What the ground is covered with inside each land use: fields, orchards, houses, halls, trees.

Every painter takes the pixels of its land use and returns what covers them. Numbers are pixels of 10 m.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from landuse.core.arrays import Pixels
from landuse.data.sources.sample.fields import Field, Numbers, Zones, number, share

Mask = npt.NDArray[np.bool_]


Cover = IntEnum(  # what a pixel is covered with
    "Cover",
    "WATER TREES GRASS SHRUBS CROP VINES ASPHALT ROOF_DARK ROOF_GREY ROOF_WHITE ROOF_BLUE ROOF_TILE ROOF_SAND "
    "ROOF_SLATE YARD GARDEN TRACK",
    start=0,
)


@dataclass(frozen=True)
class Site:
    """The pixels (n,) of one land use in a scene.

    u, v: place along the two directions of their zone, pixels. zone: its number. style: (6, n) random
    shares, the same for a whole zone. patchy: a random field of variance 1. path: distance to the nearest
    winding path, pixels. dry: climate of the scene, about -1 (green) to 1 (dry).
    """

    u: Field
    v: Field
    zone: Zones
    style: Field
    patchy: Field
    path: Field
    dry: float


@dataclass(frozen=True)
class Ground:
    """cover: of each pixel. parcel: a number, the same for pixels that look alike. streak: place across the rows."""

    cover: Pixels
    parcel: Numbers
    streak: Field


@dataclass(frozen=True)
class Parcels:
    """id: hashed number of the parcel. row: of its row. along, across: place in it, from 0 to 1.

    end, side: distance to the nearest end of the parcel and to the nearest side of its row, pixels.
    """

    id: Numbers
    row: Numbers
    along: Field
    across: Field
    end: Field
    side: Field


def parcels(
    u: Field, v: Field, zone: npt.NDArray[np.unsignedinteger], length: Field | float, width: Field | float
) -> Parcels:
    """Divide zones into rows of unequal widths, and every row into parcels of unequal lengths."""
    wavy = v / width
    wavy = wavy + np.float32(0.35) * np.sin(wavy * np.float32(1.9) + zone.astype(np.float32))
    row_number = np.floor(wavy)
    row = number(zone, row_number)
    long = length * (np.float32(0.6) + np.float32(0.9) * share(row))
    place = u / long + share(row) * np.float32(37)
    place = place + np.float32(0.3) * np.sin(place * np.float32(2.1))
    column = np.floor(place)
    along, across = place - column, wavy - row_number
    return Parcels(
        id=number(row, column),
        row=row,
        along=along,
        across=across,
        end=np.minimum(along, 1 - along) * long,
        side=np.minimum(across, 1 - across) * width,
    )


def _between(low: float, high: float, at: Field) -> Field:
    return np.float32(low) + np.float32(high - low) * at


def annual_crop(site: Site) -> Ground:
    """Large fields in rows, some parted by a track, streaked along their length."""
    p = parcels(site.u, site.v, site.zone, _between(24, 90, site.style[0]), _between(9, 34, site.style[1] ** 1.5))
    cover = np.full(p.id.shape, Cover.CROP, np.uint8)
    cover[(p.side < 0.75) & (share(p.row) < 0.3)] = Cover.TRACK
    cover[(p.side < 0.8) & (share(p.row) > 0.93)] = Cover.TREES
    cover[(p.id > 63900) & (site.style[2] > 0.3)] = Cover.GRASS
    return Ground(cover, p.id, p.across * np.float32(40))


def permanent_crop(site: Site) -> Ground:
    """Small parcels of vines, olives and orchards: strips, tracks between them, a few crops and trees."""
    small = site.style[1]
    p = parcels(site.u, site.v, site.zone, _between(9, 30, site.style[0]), _between(5, 13, small))
    cover = np.full(p.id.shape, Cover.VINES, np.uint8)
    cover[p.id > 60000] = Cover.CROP
    cover[p.id < 1200] = Cover.TREES
    cover[(p.side < 0.6) & (share(p.row) < 0.1 + 0.4 * site.style[2])] = Cover.TRACK
    cover[(p.end < 0.6) & (site.style[3] > 0.75)] = Cover.TRACK
    cover[site.path < 0.7 * (site.style[5] > 0.6)] = Cover.TRACK
    cover[site.patchy > 2.1] = Cover.TREES
    return Ground(cover, p.id, p.across * _between(8, 24, site.style[4]))


def pasture(site: Site) -> Ground:
    """Meadows of irregular shape, parted by broken hedges; clumps of trees, a farm here and there."""
    p = parcels(site.u, site.v, site.zone, _between(18, 50, site.style[0]), _between(13, 34, site.style[1]))
    cover = np.full(p.id.shape, Cover.GRASS, np.uint8)
    cover[p.id > 62500] = Cover.CROP
    hedged = np.minimum(p.side, p.end) < _between(0.35, 0.95, site.style[2])
    cover[hedged & (site.patchy > -0.5)] = Cover.TREES
    cover[site.patchy > 2.2] = Cover.TREES
    cover[site.patchy < -2.5] = Cover.SHRUBS
    cover[site.path < 0.6 * (site.style[5] > 0.85)] = Cover.TRACK
    farm = (share(number(p.id, 5)) < 0.06) & (p.end < 4) & (p.side < 4) & (number(site.u, site.v) < 20000)
    cover[farm] = np.where(number(p.id, 3) > 30000, Cover.ROOF_SAND, Cover.ROOF_SLATE)[farm]
    return Ground(cover, p.id, p.across * np.float32(18))


def herbaceous(site: Site) -> Ground:
    """Open natural land: patches of shrubs and trees, bare spots, winding paths."""
    cover = np.full(site.zone.shape, Cover.SHRUBS, np.uint8)
    cover[site.patchy > _between(1.2, 3.5, site.style[0])] = Cover.TREES
    cover[site.patchy < _between(-4.0, -1.9, site.style[1])] = Cover.TRACK
    cover[site.path < 0.7 * (site.style[2] > 0.65)] = Cover.TRACK
    return Ground(cover, number(site.zone), site.v)


def forest(site: Site) -> Ground:
    """Closed forest with a few clearings and paths."""
    cover = np.full(site.zone.shape, Cover.TREES, np.uint8)
    cover[site.patchy > _between(2.8, 9, site.style[0])] = Cover.SHRUBS
    cover[site.path < 0.6 * (site.style[2] > 0.92)] = Cover.TRACK
    stand = parcels(site.u, site.v, site.zone, 50.0, 40.0)
    return Ground(cover, np.where(site.style[3] > 0.6, stand.id, number(site.zone)), site.v)


def sea_lake(site: Site) -> Ground:
    """Open water, now and then a boat."""
    cover = np.full(site.zone.shape, Cover.WATER, np.uint8)
    x, y = np.floor(site.u), np.floor(site.v)
    cover[(number(x, y) < 14) & (site.style[0] > 0.7)] = Cover.ROOF_GREY
    return Ground(cover, number(site.zone), site.v)


_ROOFS = {  # what roofs a quarter has, from green suburbs in the north to dense towns in the south
    "slate": (Cover.ROOF_SLATE, Cover.ROOF_SLATE, Cover.ROOF_DARK, Cover.ROOF_TILE),
    "mixed": (Cover.ROOF_SLATE, Cover.ROOF_TILE, Cover.YARD, Cover.ROOF_GREY),
    "tile": (Cover.ROOF_TILE, Cover.ROOF_TILE, Cover.ROOF_SAND, Cover.ROOF_SLATE),
    "sand": (Cover.ROOF_SAND, Cover.ROOF_SAND, Cover.ROOF_TILE, Cover.ROOF_GREY),
}


def residential(site: Site) -> Ground:
    """Streets around blocks, and in every block rows of houses with gardens between them."""
    block = parcels(site.u, site.v, site.zone, _between(10, 26, site.style[0]), _between(6, 10, site.style[1]))
    house = parcels(
        site.u, site.v, number(block.row), _between(2.0, 5.5, site.style[2] ** 2), _between(2.2, 3.6, site.style[3])
    )
    kind = number(house.id, block.id)
    south = np.clip(0.4 * site.dry + 0.9 * site.style[4] - 0.1, 0, 0.999)
    roofs = np.array(list(_ROOFS.values()), np.uint8)[(south * 4).astype(np.int64), kind >> np.uint16(14)]
    dense = _between(0.45, 0.95, np.clip(0.25 * site.dry + 0.3 * south + 0.5 * site.style[5], 0, 1))
    cover = np.where(
        share(number(kind, 1)) < dense * _between(0.6, 1.15, share(number(block.id, 3))), roofs, Cover.GARDEN
    ).astype(np.uint8)
    cover[(house.across < 0.3 - 0.2 * dense) | (house.along < 0.25 - 0.2 * dense)] = Cover.GARDEN
    cover[(number(block.id, 7) < 2600)] = Cover.GARDEN
    cover[(number(block.id, 7) > 64000)] = Cover.YARD
    cover[(block.side < 0.55) | (block.end < 0.5)] = Cover.ASPHALT
    cover[number(kind, 2) < 400] = Cover.ROOF_WHITE
    cover[site.patchy > _between(1.1, 3, dense)] = Cover.TREES
    return Ground(cover, kind, block.across)


_HALLS = (  # as often as they stand here
    *(Cover.ROOF_WHITE,) * 5,
    *(Cover.ROOF_GREY,) * 5,
    *(Cover.ROOF_SAND, Cover.ROOF_DARK, Cover.ROOF_SLATE),
    *(Cover.ROOF_BLUE, Cover.ROOF_TILE, Cover.YARD),
)


def industrial(site: Site) -> Ground:
    """Plots with large halls on paved yards, wide streets, lawns and empty plots."""
    plot = parcels(site.u, site.v, site.zone, _between(12, 34, site.style[0]), _between(9, 22, site.style[1]))
    hall = parcels(site.u, site.v, number(plot.row), _between(5, 16, site.style[2]), _between(4, 9, site.style[3]))
    kind = number(hall.id, plot.id)
    use = share(number(plot.id, 1))
    green = _between(0.05, 0.32, site.style[4])
    cover = np.where(use < green, Cover.GARDEN, Cover.YARD).astype(np.uint8)
    cover[use > 0.9] = Cover.ASPHALT
    roofs = np.array(_HALLS, np.uint8)[kind >> np.uint16(12)]
    margin = _between(0.5, 1.3, share(number(kind, 2)))
    built = (hall.side > margin) & (hall.end > margin) & (share(number(kind, 3)) < 0.72) & (plot.side > 1.2)
    built &= use > 0.8 * green
    cover[built] = roofs[built]
    cover[(plot.side < 0.8) | (plot.end < 0.7)] = Cover.ASPHALT
    cover[(site.patchy > 1.6) & ~built] = Cover.GARDEN
    cover[(site.patchy > 2.3) & ~built] = Cover.TREES
    return Ground(cover, kind, hall.across * np.float32(9))


PAINTERS: dict[str, Callable[[Site], Ground]] = {
    "AnnualCrop": annual_crop,
    "Forest": forest,
    "HerbaceousVegetation": herbaceous,
    "Industrial": industrial,
    "Pasture": pasture,
    "PermanentCrop": permanent_crop,
    "Residential": residential,
    "SeaLake": sea_lake,
}
