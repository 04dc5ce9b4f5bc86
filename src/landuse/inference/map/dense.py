"""Dense scores: the network once over large windows instead of once a tile; what that changes is measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from affine import Affine
from numpy.lib.stride_tricks import sliding_window_view
from tqdm import tqdm

from landuse.core.errors import UserError
from landuse.inference.map.answers import filled
from landuse.inference.map.cells import NODATA, SHARE
from landuse.inference.map.rasters import of_cells, write_bands
from landuse.inference.model import Model, open_session
from landuse.inference.scene import Scene

FILE = "dense.onnx"
_COMPARED = 1000  # positions, at random, whose windows the model answers as tiles too
_REMEDY = "run 'dvc repro export' again, or copy the whole folder"


@dataclass(frozen=True)
class Dense:
    """dense.onnx. side: of a large window, pixels. stride: from one position to the next."""

    session: Any  # onnxruntime.InferenceSession
    side: int
    stride: int

    @classmethod
    def load(cls, folder: Path, model: Model, threads: int) -> Self:
        """Load it from the model's folder.

        Raises:
            UserError: it is missing, damaged, empty, since the network has no dense form, or of another model.
        """
        file = folder / FILE
        if file.is_file() and not file.stat().st_size:
            raise UserError(
                f"--dense: {model.spec.backbone} has no dense form, since its answer is no average over places: "
                "leave --dense out, or train a ResNet or efficientnet_lite0"
            )
        session = open_session(file, threads)
        if session.get_modelmeta().custom_metadata_map.get("identity") != model.spec.identity:
            raise UserError(f"{file} and model.json are of different models: {_REMEDY}")
        side, positions = session.get_inputs()[0].shape[1], session.get_outputs()[0].shape[0]
        return cls(session, side, (side - model.spec.tile_size) // (positions - 1))


def write_dense(folder: Path, dense: Dense, model: Model, scene: Scene, min_valid: float) -> tuple[dict[str, Any], str]:
    """Write dense.tif: the probability of each class, for every window of a tile's size that starts at a stride.

    A pixel of it has a stride's size and lies in the middle of its window. Returns what summary.json says of it, and
    that as a decision in words.
    """
    tile, stride, count = model.spec.tile_size, dense.stride, len(model.spec.classes)
    rows, cols = ((size - tile) // stride + 1 for size in (scene.height, scene.width))
    rim = tile // stride  # positions within a tile of a large window's border, where that is padded, are left out
    own = (dense.side - tile) // stride + 1 - 2 * rim
    scores = np.full((count, rows, cols), NODATA, dtype=np.uint8)
    sampled = np.zeros((rows, cols), dtype=bool)
    sampled.flat[np.random.default_rng(0).permutation(rows * cols)[:_COMPARED]] = True
    pairs = []
    starts = [(row, col) for row in range(0, rows, own) for col in range(0, cols, own)]
    for row, col in tqdm(starts, desc="dense", unit="window", disable=None):
        pixels, known = scene.read(row * stride - tile, col * stride - tile, dense.side, dense.side)
        if not known.any():
            continue
        here = np.s_[: min(own, rows - row), : min(own, cols - col)]
        valid = _shares(known, tile, stride)[rim:-rim, rim:-rim][here] >= min_valid
        answers = dense.session.run(None, {"pixels": filled(pixels[None].copy(), known[None])})[0]
        answers = answers[rim:-rim, rim:-rim][here]
        found = np.where(valid, np.rint(answers.transpose(2, 0, 1) * SHARE), NODATA)
        scores[:, row : row + valid.shape[0], col : col + valid.shape[1]] = found
        chosen = np.argwhere(sampled[row : row + own, col : col + own] & valid)
        if len(chosen):
            windows = [np.s_[i : i + tile, j : j + tile] for i, j in (chosen + rim) * stride]
            tiles = filled(np.stack([pixels[w] for w in windows]), np.stack([known[w] for w in windows]))
            pairs.append(np.stack([answers[tuple(chosen.T)], model.run(tiles)[0]]))
    middle = (tile - stride) / 2
    transform = of_cells(scene.transform @ Affine.translation(middle, middle), stride)
    names = [f"probability {name}" for name in model.spec.classes]
    write_bands(folder / "dense.tif", scores, {"crs": scene.crs, "transform": transform}, names, [1 / SHARE] * count)
    told = {"metres": transform.a, "transform": list(transform)[:6], "shape": [rows, cols], **_agreement(pairs)}
    return told, _decision(dense, tile, told)


def _shares(known: npt.NDArray[np.bool_], tile: int, stride: int) -> npt.NDArray[np.float64]:
    """(S, S) -> (n, n) share of valid pixels of the windows that start at every stride."""
    parts = known.reshape(len(known) // stride, stride, -1, stride).mean(axis=(1, 3))
    shares: npt.NDArray[np.float64] = sliding_window_view(parts, (tile // stride, tile // stride)).mean(axis=(2, 3))
    return shares


def _agreement(pairs: list[npt.NDArray[np.float32]]) -> dict[str, Any]:
    """pairs: each (2, n, classes), dense and tile-wise probabilities of the same windows."""
    if not pairs:
        return {"compared": 0, "agreement": None, "mean_difference": None, "largest_difference": None}
    ours, tiles = np.concatenate(pairs, axis=1)
    difference = np.abs(ours - tiles)
    return {
        "compared": len(ours),
        "agreement": round(float((ours.argmax(axis=1) == tiles.argmax(axis=1)).mean()), 4),
        "mean_difference": round(float(difference.mean()), 4),
        "largest_difference": round(float(difference.max()), 4),
    }


def _decision(dense: Dense, tile: int, told: dict[str, Any]) -> str:
    how = (
        f"dense.tif: scores of windows of {tile} x {tile} pixels, one every {dense.stride}, by running the network "
        f"once over {dense.side} x {dense.side} pixels"
    )
    if not told["compared"]:
        return f"{how}; no window was compared with the answer to it as a tile"
    return (
        f"{how}; the same class as the answer to the window as a tile in {told['agreement']:.1%} of "
        f"{told['compared']:,} windows, probabilities differ by {told['mean_difference']:.3f} in the mean: a tile is "
        "padded at its borders, where a large window shows land"
    )
