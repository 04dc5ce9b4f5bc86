"""Two maps of one place, checked: whether what they say can be compared."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from landuse.core.errors import UserError
from landuse.inference.folder import Flags, MapFolder
from landuse.inference.map.cells import Bytes

MOST = 15  # classes: the transition of a cell is stored in a byte
_SAME = 0.05  # of a cell that corners may lie apart to be the same
_BRIGHTER = 0.5  # of the narrower stretch: the darkest land may change so much in all bands, by haze and season
_STRANGE = 0.3  # by which the shares of strange cells may differ


@dataclass(frozen=True)
class Pair:
    """Two maps of the same cells. known: (rows, cols) cells with an answer at both dates, none of them strange."""

    before: MapFolder
    after: MapFolder

    @property
    def classes(self) -> list[str]:
        return self.before.summary["classes"]

    @property
    def common(self) -> Flags:
        """Cells with an answer at both dates."""
        flags: Flags = self.before.valid & self.after.valid
        return flags

    @property
    def strange(self) -> Flags:
        """Cells with an answer at both dates, that are unlike the training tiles at one of them."""
        flags: Flags = self.common & (self.before.strange | self.after.strange)
        return flags

    @property
    def known(self) -> Flags:
        """Cells with an answer at both dates, that are strange at neither."""
        flags: Flags = self.common & ~self.strange
        return flags

    @property
    def unsure(self) -> Flags:
        """Known cells that the model would rather not have answered at one of the dates."""
        flags: Flags = self.known & (self.before.abstained | self.after.abstained)
        return flags

    @property
    def hectares(self) -> float:
        """Of a cell."""
        return self.before.summary["cell_metres"] ** 2 / 10_000

    def answers(self) -> tuple[Bytes, Bytes]:
        """(K, cells) stored probabilities of the known cells at either date."""
        known, count = self.known, len(self.classes)
        return self.before.scores[:count, known], self.after.scores[:count, known]

    def compared(self) -> npt.NDArray[np.int64]:
        """(K, K) known cells by the labels of both dates."""
        known, count = self.known, len(self.classes)
        code = self.before.classes[known].astype(np.int64) * count + self.after.classes[known]
        return np.bincount(code, minlength=count**2).reshape(count, count)

    def prior(self) -> npt.NDArray[np.float64]:
        """(K,) shares of the classes that the model's probabilities hold for: the splits have the same as the test."""
        tiles = np.array(self.before.summary["confusion"], dtype=np.float64).sum(axis=1)
        shares: npt.NDArray[np.float64] = tiles / tiles.sum()
        return shares


def read_pair(before: Path, after: Path) -> Pair:
    """Read two folders that `landuse map` made.

    Raises:
        UserError: one is no such folder, or they are not two dates of the same cells by the same model.
    """
    if before.resolve() == after.resolve():
        raise UserError(f"{before} is named twice: give the maps of two dates")
    if _content(before) == _content(after):
        raise UserError(f"{before} and {after} are maps of the same scene: give those of two dates")
    pair = Pair(MapFolder.read(before), MapFolder.read(after))
    fault = _other_model(pair) or _elsewhere(pair) or _other_product(pair)
    if fault:
        raise UserError(f"{before} and {after} cannot be compared: {fault}")
    _check_cells(pair, before, after)
    return pair


def check_dates(before: str | None, after: str | None) -> None:
    if before and after and before[:10] > after[:10]:
        raise UserError(f"BEFORE is of {before[:10]}, AFTER of {after[:10]}: give the earlier date first")


def decisions(pair: Pair) -> list[str]:
    """What was found about the pair, in words."""
    common = int(pair.common.sum())
    dates = [found.summary["date"] for found in (pair.before, pair.after)]
    told = " and ".join(date[:10] if date else "not known" for date in dates)
    found = [f"dates: {told}"]
    for name, one in (("before", pair.before), ("after", pair.after)):
        lost = int((one.valid & ~pair.common).sum())
        if lost:
            share = lost / int(one.valid.sum())
            line = f"{lost:,} cells ({share:.0%}) have an answer in {name} only, and are left out: all numbers are of"
            found.append(f"{line} the {common:,} cells with an answer at both dates")
    if int(pair.strange.sum()):
        found.append(
            f"{int(pair.strange.sum()):,} cells are strange, unlike the training tiles, at one date at least: unknown "
            "land, a row of its own"
        )
    if int(pair.unsure.sum()):
        found.append(
            f"{int(pair.unsure.sum()):,} cells are unsure at one date at least: they count by their probabilities, "
            "since land that changed is more often unsure"
        )
    return found


def _content(folder: Path) -> list[str | None]:
    files = [folder / name for name in ("scores.tif", "quicklook.png")]
    return [hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(file) for file in files]


def _other_model(pair: Pair) -> str | None:
    first, second = pair.before.summary, pair.after.summary
    if first["classes"] != second["classes"]:
        one, other = (", ".join(summary["classes"]) for summary in (first, second))
        return f"one map has the classes {one}, the other {other}: map both with one model"
    if first["model"]["identity"] != second["model"]["identity"]:
        one, other = (summary["model"]["identity"][:12] for summary in (first, second))
        return f"they are by different models, {one} and {other}: map both with one"
    if len(first["classes"]) > MOST:
        return f"they have {len(first['classes'])} classes, and transitions are told of at most {MOST}"
    if not first["confusion"] or not all(map(sum, first["confusion"])):
        return "the model's test tiles are not known, or lack a class: export the model again, and map both with that"
    return None


def _elsewhere(pair: Pair) -> str | None:
    first, second = pair.before, pair.after
    if first.crs != second.crs:
        return f"one is in {first.crs.to_string()}, the other in {second.crs.to_string()}: bring one scene to the other"
    if abs(first.transform.a / second.transform.a - 1) > _SAME / max(first.classes.shape):
        sizes = [f"{found.summary['cell_metres']:g} m" for found in (first, second)]
        return f"one has cells of {sizes[0]}, the other of {sizes[1]}: map both with one --stride"
    column, row = ~first.transform @ (second.transform.c, second.transform.f)
    if max(abs(column), abs(row)) > _SAME:
        return (
            f"their corners lie {column:.2f} cells to the right and {row:.2f} down: cut the scenes to one extent "
            "(gdalwarp -te, or landuse map --within)"
        )
    if first.classes.shape != second.classes.shape:
        sizes = [" x ".join(map(str, found.classes.shape)) for found in (first, second)]
        return f"one has {sizes[0]} cells, the other {sizes[1]}: cut the scenes to one extent (gdalwarp -te)"
    return None


def _other_product(pair: Pair) -> str | None:
    first, second = pair.before.summary, pair.after.summary
    levels = [summary.get("level") for summary in (first, second)]
    if None not in levels and levels[0] != levels[1]:
        return f"one is of a {levels[0]} scene, the other of {levels[1]}: give two of one level"
    moved = _brighter(first.get("stretch"), second.get("stretch"))
    if moved is not None:
        return (
            f"the darkest land of the second is {abs(moved):.0%} of the whole range of brightness "
            f"{'brighter' if moved > 0 else 'darker'} in every band, which no season does: check --offset and --units"
        )
    return None


def _brighter(first: Sequence[Sequence[float]] | None, second: Sequence[Sequence[float]] | None) -> float | None:
    """How much the black of the quicklook moved in all bands, by its range, where that is more than land can do."""
    if first is None or second is None or np.shape(first) != np.shape(second):
        return None
    (low, high), (other, top) = np.array(first), np.array(second)
    moved = (other - low) / np.maximum(np.minimum(high - low, top - other), 1)
    least = float(moved[np.abs(moved).argmin()])
    return least if abs(least) > _BRIGHTER and len(set(np.sign(moved).tolist())) == 1 else None


def _check_cells(pair: Pair, before: Path, after: Path) -> None:
    check_dates(pair.before.summary["date"], pair.after.summary["date"])
    if not pair.common.any():
        raise UserError(
            f"{before} and {after} have no cell with an answer at both dates: give scenes with fewer clouds"
        )
    if not pair.known.any():
        raise UserError(
            f"every cell of {before} or {after} is strange, unlike the training tiles: give a model of such land"
        )
    shares = [float((found.strange & pair.common).sum() / pair.common.sum()) for found in (pair.before, pair.after)]
    if abs(shares[1] - shares[0]) > _STRANGE:
        raise UserError(
            f"{shares[0]:.0%} of the cells of {before} are strange, unlike the training tiles, and {shares[1]:.0%} of "
            f"{after}: check the offset, the units and the haze of both scenes"
        )
