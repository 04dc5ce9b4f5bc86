"""The map of the parts: a picture whatever the tiles are, and the same bytes every time."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from landuse.report import split_map

HISTOGRAM = {"histogram": {"low": 0.1, "high": 100.0, "tiles": [3, 0, 1]}}


def drawn(path: Path, tiles: pd.DataFrame, distances: dict[str, object] | None) -> np.ndarray:
    split_map.draw(tiles, distances).savefig(path, metadata={"Software": None})
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB")).reshape(-1, 3)


def shows(pixels: np.ndarray, colour: str) -> bool:
    return bool((pixels == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(axis=1).any())


@pytest.mark.long
def test_every_part_is_drawn_in_its_colour_and_again_in_the_same_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = np.repeat(["train", "val", "test", "buffer", "aside"], 40)
    tiles = pd.DataFrame({"latitude": rng.normal(50, 3, 200), "longitude": rng.normal(8, 5, 200), "split": parts})
    pixels = drawn(tmp_path / "one.png", tiles, HISTOGRAM)
    assert all(shows(pixels, colour) for colour in split_map._COLOURS.values())
    drawn(tmp_path / "two.png", tiles, HISTOGRAM)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    without_buffer = drawn(tmp_path / "three.png", tiles[tiles["split"] != "buffer"], None)
    assert not shows(without_buffer, split_map._COLOURS["buffer"])


@pytest.mark.parametrize("placed", [False, True])
def test_tiles_without_a_place_get_a_sentence_and_those_in_one_place_a_map(tmp_path: Path, placed: bool) -> None:
    tiles = pd.DataFrame({"split": ["train", "val"]})
    if placed:
        tiles[["latitude", "longitude"]] = (-90.0, 180.0)
    pixels = drawn(tmp_path / "one.png", tiles, None)
    assert shows(pixels, split_map._COLOURS["train"]) == placed
    assert len(pixels) < 100_000 or placed
