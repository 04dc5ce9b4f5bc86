"""Duplicates across the parts are found: the exact ones refused, the near ones counted."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from PIL import Image

from landuse import sensors
from landuse.core.errors import UserError
from landuse.data.splits import leakage
from landuse.tiles.store import TileStore

Pixels = npt.NDArray[Any]


def landscapes(count: int = 30, seed: int = 0) -> Pixels:
    """Tiles with fields of even colour, each its own."""
    coarse = np.random.default_rng(seed).integers(20, 230, (count, 8, 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((1, 8, 8, 1), np.uint8))


def audit(
    images: Pixels, parts: list[str], bits: int = 8, bands: tuple[str, ...] = sensors.RGB
) -> tuple[pd.DataFrame, dict[str, int]]:
    split = pd.DataFrame({"row": range(len(images)), "split": parts})
    split["file"] = [f"a/{row}.jpg" for row in split["row"]]
    return leakage.audit(TileStore(images, split, {"bands": list(bands)}), split, bits)


def alternating(count: int) -> list[str]:
    return [("train", "val", "test")[i % 3] for i in range(count)]


def test_different_tiles_raise_no_alarm() -> None:
    near, counts = audit(landscapes(), alternating(30))
    assert near.empty
    assert list(near.columns) == ["file", "split", "other_file", "other_split", "bits", "difference"]
    assert set(counts.values()) == {0}


def test_the_same_pixels_in_two_parts_are_refused_and_in_one_part_counted() -> None:
    images = landscapes()
    images[[4, 5]] = images[0]
    parts = ["train"] * 30
    assert audit(images, parts)[1]["exact_within_parts"] == 3
    parts[4] = parts[5] = "test"
    with pytest.raises(UserError, match=r"a/0\.jpg \(train\) and a/4\.jpg \(test\): remove one of each"):
        audit(images, parts)
    images[8], parts[8] = images[9], "val"
    with pytest.raises(UserError, match=r"a/4\.jpg \(test\), a/8\.jpg \(val\) and a/9\.jpg \(train\): remove one"):
        audit(images, parts)
    parts[4] = parts[5] = parts[8] = "aside"
    assert audit(images, parts)[1]["exact_within_parts"] == 0


def recompressed(tile: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(tile).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize(
    "change",
    [
        recompressed,
        lambda tile: np.roll(tile, 1, axis=0),
        lambda tile: (tile * 0.93).astype(np.uint8),
        lambda tile: np.clip(tile + np.random.default_rng(1).normal(0, 8, tile.shape), 0, 255).astype(np.uint8),
    ],
    ids=["recompressed", "one pixel north", "darker", "noisy"],
)
def test_a_slightly_changed_copy_is_a_near_duplicate(change: Any) -> None:
    images = landscapes()
    images[7] = change(images[3])
    parts = ["train"] * 30
    parts[7] = "val"
    near, counts = audit(images, parts)
    assert (counts["near_across_parts"], counts["near_within_parts"]) == (1, 0)
    assert near.loc[0, ["file", "split", "other_file", "other_split"]].to_list() == [
        *("a/3.jpg", "train"),
        *("a/7.jpg", "val"),
    ]
    assert near.loc[0, "bits"] <= 8 and near.loc[0, "difference"] < 0.6
    assert audit(images, ["train"] * 30)[1]["near_within_parts"] == 1


def test_even_tiles_do_not_count_as_near_whatever_their_hash() -> None:
    water = (60 + np.random.default_rng(2).normal(0, 2, (40, 64, 64, 3))).astype(np.uint8)
    constant = np.full((3, 64, 64, 3), 60, np.uint8)
    constant[1, 0, 0, 2], constant[2, 0, 1, 2] = 61, 61  # other pixels, the same grey
    counts = audit(np.concatenate([water, constant]), alternating(43), bits=64)[1]
    assert counts["near_across_parts"] == counts["near_within_parts"] == 0


def test_a_tile_with_half_the_contrast_is_another_tile() -> None:
    images = landscapes()
    images[7] = 60 + images[3] // 2
    assert audit(images, alternating(30))[1]["near_across_parts"] == 0


def test_of_thirteen_bands_those_that_the_eye_sees_are_compared() -> None:
    images = np.random.default_rng(3).integers(0, 2500, (6, 64, 64, 13)).astype(np.uint16)
    visible = [sensors.BANDS.index(band) for band in sensors.RGB]
    images[..., visible] = landscapes(6).astype(np.uint16) * 10
    images[4][..., visible] = images[1][..., visible]
    invisible = [i for i in range(13) if i not in visible]
    images[5][..., invisible] = images[2][..., invisible]
    near, _ = audit(images, alternating(6), bands=sensors.BANDS)
    assert near[["file", "other_file"]].values.tolist() == [["a/1.jpg", "a/4.jpg"]]


@pytest.mark.parametrize("side", [8, 32, 64, 100])
def test_tiles_are_made_grey_and_small_together_as_pillow_does_each_alone(side: int) -> None:
    tiles = np.random.default_rng(side).integers(0, 256, (5, side, side, 3), dtype=np.uint8)
    alone = [Image.fromarray(tile).convert("L").resize((32, 32), Image.Resampling.LANCZOS) for tile in tiles]
    np.testing.assert_array_equal(leakage._grey(tiles), np.stack([np.asarray(picture) for picture in alone]))


def test_hashes_are_those_of_the_library_imagehash() -> None:
    """Made with imagehash 4.3.2; so were those of EuroSAT's 27,000 tiles, which were all compared once."""
    coarse = np.random.default_rng(9).integers(20, 230, (6, 8, 8), dtype=np.uint8)
    pictures = np.kron(coarse, np.ones((1, 4, 4), np.uint8))
    pictures[4], pictures[5] = 77, np.arange(32) * 8
    assert leakage.perceptual_hashes(pictures).tolist() == [
        0xFDE460652437E654,
        0xE762E98C6A2E0DAC,
        0x86B7DA1E21D686D8,
        0xFDA0A85630F6293D,
        0x8000000000000000,
        0x8000000000000000,
    ]


@pytest.mark.parametrize("bits", [0, 3, 20])
def test_close_pairs_are_those_of_the_plain_double_loop(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "_CELLS", 300 * 7)  # 7 rows at a time, so that pairs lie across the cuts
    monkeypatch.setattr(leakage, "_PAIRS", 5)
    hashes = np.random.default_rng(3).integers(0, 2**64, 300, dtype=np.uint64)
    hashes[17], hashes[250] = hashes[5], hashes[6] ^ np.uint64(7)
    expected = sorted(
        (i, j, (int(hashes[i]) ^ int(hashes[j])).bit_count())
        for i in range(300)
        for j in range(i + 1, 300)
        if (int(hashes[i]) ^ int(hashes[j])).bit_count() <= bits
    )
    assert expected
    found = [tuple(map(int, pair)) for block in leakage._close(hashes, bits) for pair in zip(*block, strict=True)]
    assert sorted(found) == expected


def test_all_pairs_are_counted_and_the_worst_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leakage, "_LISTED", 10)
    monkeypatch.setattr(leakage, "_PAIRS", 16)
    noise = np.random.default_rng(4).integers(0, 20, (12, 64, 64, 3), dtype=np.uint8)
    images = np.repeat(landscapes(1), 12, axis=0) // 2 + noise
    near, counts = audit(images, ["train"] * 10 + ["test"] * 2)
    assert counts["near_across_parts"] == 20
    assert counts["near_within_parts"] == 46
    assert len(near) == 10
    assert (near["split"] != near["other_split"]).all()
    assert near["difference"].is_monotonic_increasing
