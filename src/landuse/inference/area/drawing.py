"""A stratified random sample of a map's cells, to be labelled by people."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from landuse.core.errors import UserError
from landuse.inference.folder import MapFolder
from landuse.inference.geopackage import write_polygons
from landuse.inference.parts import NODATA
from landuse.inference.sample import strata

Counts = npt.NDArray[np.int64]

_LEAST = 50  # cells of a stratum, so that its accuracy is known (Olofsson et al. 2014, 5.1.2)
_NEEDED = 2


def write_sample(folder: Path, out: Path, size: int, seed: int) -> list[str]:
    """Draw cells of a map and write their outlines; returns lines for people.

    The strata are the mapped classes and the land that the model does not know. The cells come in random order: whoever
    stops early has labelled a random sample, too.

    Raises:
        UserError: the folder holds no map, the size does not fit it, or out is no file that ends in .gpkg.
    """
    if out.suffix != ".gpkg" or out.is_dir():
        raise UserError(f"--out {out}: give a file that ends in .gpkg")
    found = MapFolder.read(folder)
    names, shown = strata(found)
    sizes = np.bincount(shown[shown != NODATA], minlength=len(names))
    counts = allocated(sizes, size)
    rng = np.random.default_rng(seed)
    flat = shown.ravel()
    cells = np.concatenate(
        [rng.choice(np.flatnonzero(flat == number), count, replace=False) for number, count in enumerate(counts)]
    )
    cells = rng.permutation(cells)
    rows, cols = np.divmod(cells, shown.shape[1])
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
    xs, ys = found.transform @ (cols[:, None] + corners[:, 0], rows[:, None] + corners[:, 1])
    fields = {
        "cell": cells,
        "row": rows,
        "col": cols,
        "mapped": np.array(names, dtype=object)[flat[cells]],
        "label": np.full(size, None, dtype=object),
    }
    write_polygons(out, "sample", shapely.polygons(np.stack([xs, ys], axis=-1)), fields, found.crs)
    width = max(map(len, names))
    told = [
        f"{name:<{width}}  {count:>6,} of {there:,} cells"
        for name, count, there in zip(names, counts.tolist(), sizes.tolist(), strict=True)
    ]
    page = f"landuse view {folder} --sample {out} --scene SCENE"
    return [*told, f"wrote {out}: label it with '{page}', or its column label in QGIS"]


def allocated(sizes: Counts, total: int) -> Counts:
    """How many cells of each stratum make a sample of so many: small strata 50, or all; others by their size.

    Where 50 of each are more than the sample, as many of each as it holds.

    Raises:
        UserError: there are fewer cells, or two of each stratum are more than the sample.
    """
    if total > sizes.sum():
        raise UserError(f"--size {total}: the map has {sizes.sum():,} cells with an answer: give at most that many")
    needed = int(np.minimum(sizes, _NEEDED).sum())
    if total < needed:
        raise UserError(f"--size {total}: a variance takes two cells of each stratum: give {needed} or more")
    there = sizes > 0
    least = np.minimum(sizes, min(_LEAST, total // int(there.sum())))
    large = there.copy()
    while True:  # strata that would get less than the least of what remains get the least
        rest = total - least[~large].sum()
        wanted = np.where(large, sizes * rest / max(1, sizes[large].sum()), least)
        small = large & (wanted < least)
        if not small.any():
            break
        large &= ~small
    counts = np.floor(wanted).astype(np.int64)
    while counts.sum() < total:  # of largest remainder first
        counts[np.argmax(np.where(counts < sizes, wanted - counts, -np.inf))] += 1
    return counts
