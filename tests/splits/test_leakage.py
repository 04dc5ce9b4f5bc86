"""Duplicates across the parts are found: the exact ones refused, the near ones counted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landuse.errors import UserError
from landuse.splits import leakage
from landuse.tiles import TileStore


def tiles(count: int = 30) -> np.ndarray:
    """Tiles with large shapes, each its own."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(20, 230, (count, 8, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8))


def audit(images: np.ndarray, parts: list[str], bits: int = 6) -> tuple[pd.DataFrame, dict[str, int]]:
    split = pd.DataFrame({"row": range(len(images)), "split": parts})
    split["file"] = [f"a/{row}.jpg" for row in split["row"]]
    return leakage.audit(TileStore(images, split, {}), split, bits)


def alternating(count: int) -> list[str]:
    return [("train", "val", "test")[i % 3] for i in range(count)]


def test_different_tiles_raise_no_alarm() -> None:
    near, counts = audit(tiles(), alternating(30))
    assert near.empty
    assert counts == {"exact_within_parts": 0, "near_within_parts": 0, "near_across_parts": 0}


def test_the_same_pixels_in_two_parts_are_refused_and_in_one_part_counted() -> None:
    images = tiles()
    images[4] = images[0]
    parts = ["train"] * 30
    assert audit(images, parts)[1]["exact_within_parts"] == 1
    parts[4] = "test"
    with pytest.raises(UserError, match=r"a/0\.jpg \(train\) and a/4\.jpg \(test\) hold the same pixels"):
        audit(images, parts)
    parts[4] = "aside"
    assert audit(images, parts)[1]["exact_within_parts"] == 0


def test_a_slightly_changed_copy_is_a_near_duplicate() -> None:
    images = tiles()
    rng = np.random.default_rng(1)
    images[7] = np.clip(images[3].astype(int) * 0.95 + rng.normal(0, 3, images[3].shape), 0, 255).astype(np.uint8)
    parts = ["train"] * 30
    parts[7] = "val"
    near, counts = audit(images, parts)
    assert counts["near_across_parts"] == 1
    assert near.iloc[0][["file", "split", "other_file", "other_split"]].tolist() == [
        "a/3.jpg",
        "train",
        "a/7.jpg",
        "val",
    ]
    assert near.iloc[0]["correlation"] > 0.99


def test_even_tiles_do_not_count_as_near_whatever_their_hash() -> None:
    rng = np.random.default_rng(2)
    water = (60 + rng.normal(0, 2, (40, 64, 64, 3))).astype(np.uint8)
    assert audit(water, alternating(40), bits=32)[1]["near_across_parts"] == 0


@pytest.mark.parametrize("bits", [0, 3, 20])
def test_close_pairs_are_those_of_the_plain_double_loop(bits: int) -> None:
    rng = np.random.default_rng(3)
    hashes = rng.integers(0, 2**63, 300, dtype=np.uint64)
    hashes[17], hashes[250] = hashes[5], hashes[6] ^ np.uint64(7)
    expected = {
        (i, j, (int(hashes[i]) ^ int(hashes[j])).bit_count())
        for i in range(300)
        for j in range(i + 1, 300)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= bits
    }
    assert set(leakage._close_pairs(hashes, bits)) == expected


@pytest.mark.real
@pytest.mark.long
def test_eurosat_has_no_exact_duplicate_and_few_near_ones(real_data: Path, tmp_path: Path) -> None:
    from conftest import ROOT

    from landuse import params, tiles
    from landuse.sources import eurosat

    data = params.read(ROOT / "params.yaml").data
    section = data.model_dump() | {"source": "eurosat_rgb", "url": str(real_data / "EuroSAT_RGB.zip")}
    tiles.write(tmp_path / "tiles", eurosat.rgb(params.Data.model_validate(section)))
    store = tiles.open_store(tmp_path / "tiles")
    split = store.index[["row", "file", "class"]].assign(split="train")
    near, counts = leakage.audit(store, split, bits=10)
    assert counts["exact_within_parts"] == 0
    assert 1 <= len(near) < 50
    assert ("Highway/Highway_291.jpg", "Highway/Highway_513.jpg") in set(
        zip(near["file"], near["other_file"], strict=True)
    )
