"""How right the cells of a map are, in simulated scenes whose land use is known.

    python benchmarks/cells.py --model models/export --seeds 1 2 3

A cell counts where it shows to 80 % one land use, or one label. By the rule that EuroSAT's tiles are cut by, a cell
that a highway crosses is a tile of Highway, whatever it shows most: cells are judged with and without that rule.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import yaml
from numpy.lib.stride_tricks import sliding_window_view

_SIZE, _TILE = 1536, 64  # pixels
_MOSTLY = 0.8  # least share of a cell
_CROSSED = 0.055  # least share of a highway in a tile of Highway

Flags = npt.NDArray[np.bool_]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/export")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = parser.parse_args()
    mapping = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))["mapping"]
    labels = mapping["tables"][mapping["preset"]]
    found: dict[str, list[Flags]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for seed in options.seeds:
            land = Path(folder, str(seed))
            _landuse("scene", land, "--seed", seed, "--size", _SIZE)
            for stride in (_TILE, _TILE // 2):
                out = Path(folder, f"{seed}-{stride}")
                _landuse("map", land / "scene.tif", "--out", out, "--stride", stride, "--model", options.model)
                for name, right in _judged(land, out, stride, labels).items():
                    found.setdefault(name, []).append(right)
    print("| | cells | right |\n| --- | --- | --- |")
    for name, parts in found.items():
        right = np.concatenate(parts)
        print(f"| {name} | {len(right):,} | {right.mean():.1%} |")


def _judged(land: Path, out: Path, stride: int, labels: dict[str, list[str]]) -> dict[str, Flags]:
    """Whether each cell that counts is right."""
    with rasterio.open(land / "land_use.tif") as file:
        uses, truth = file.tags(1), file.read(1)
    with rasterio.open(out / "classes.tif") as file:
        answers = file.read(1)
    with rasterio.open(out / "scores.tif") as file:
        sure = file.read(file.count - 1) == 0
    classes = json.loads((out / "summary.json").read_text())["classes"]
    side = _SIZE // stride
    shares = {uses[str(n)]: (truth == n).reshape(side, stride, side, stride).mean(axis=(1, 3)) for n in range(10)}
    by_label = np.stack([sum(shares[use] for use in labels[label]) for label in classes])
    by_use = np.stack([np.max([shares[use] for use in labels[label]], axis=0) for label in classes])
    seen = _least_around(by_label, _TILE // stride - 1)
    plain = shares["Highway"] < _CROSSED
    at = f"`--stride {stride}`"

    highway = next(number for number, label in enumerate(classes) if "Highway" in labels[label])

    def right(share: npt.NDArray[Any], of: Flags | bool = True, by_rule: bool = False) -> Flags:
        label = np.where(~plain & by_rule, highway, share.argmax(axis=0))
        flags: Flags = (answers == label)[(share.max(axis=0) >= _MOSTLY) & of]
        return flags

    return {
        f"{at}, one land use in the cell, labelled by the rule": right(by_use, by_rule=True),
        f"{at}, one land use in the cell, no highway across": right(by_use, plain),
        f"{at}, one land use in the cell": right(by_use),
        f"{at}, one label in the cell": right(by_label),
        f"{at}, one label in the cell, and the map is sure": right(by_label, sure),
        **(
            {f"{at}, one label in the cell and in each around it that its windows see": right(seen)}
            if stride < _TILE
            else {}
        ),
    }


def _least_around(shares: npt.NDArray[Any], cells: int) -> npt.NDArray[Any]:
    """The least share (K, rows, columns) in a cell and so many around it."""
    padded = np.pad(shares, ((0, 0), (cells, cells), (cells, cells)), mode="edge")
    return sliding_window_view(padded, (2 * cells + 1, 2 * cells + 1), axis=(1, 2)).min(axis=(-2, -1))


def _landuse(*command: Any) -> None:
    script = "from landuse.cli import main; main()"
    subprocess.run([sys.executable, "-c", script, *map(str, command)], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
