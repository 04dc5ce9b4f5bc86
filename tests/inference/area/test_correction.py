"""Areas corrected for the model's errors, where the truth is known."""

import numpy as np
import pytest

from landuse.core.errors import UserError
from landuse.inference import area


def simulated(
    rng: np.random.Generator, shares: list[float], recall: np.ndarray, blocks: int = 40
) -> tuple[np.ndarray, np.ndarray]:
    """(K,) true cells of a scene, and (blocks, K) mapped ones, of blocks that differ in what is there."""
    truth = np.stack([rng.multinomial(100, rng.dirichlet(8 * np.array(shares))) for _ in range(blocks)])
    mapped = np.stack([sum(rng.multinomial(n, row) for n, row in zip(block, recall, strict=True)) for block in truth])
    return truth.sum(axis=0), mapped


def tiles_of_a_test(rng: np.random.Generator, recall: np.ndarray, tiles: int = 200) -> np.ndarray:
    return np.stack([rng.multinomial(tiles, row) for row in recall])


def test_a_rare_class_is_counted_too_often_and_corrected() -> None:
    mapped, confusion = np.array([[9310, 690]]), np.array([[98, 2], [2, 98]])  # 5 % city, each 50th tile is wrong
    counted = mapped[0] * 0.1024
    (farmland, city) = area.corrected(mapped, confusion, 0.1024, seed=0)
    assert counted == pytest.approx([953.344, 70.656])
    assert city["hectares"] == pytest.approx(1024 * (0.069 - 0.02) / 0.96)
    assert city["hectares"] + farmland["hectares"] == pytest.approx(1024)
    assert 0 <= city["low"] < city["hectares"] < city["high"] < 2 * counted[1]


@pytest.mark.parametrize(
    ("shares", "recall"),
    [
        ([0.95, 0.05], [[0.98, 0.02], [0.02, 0.98]]),
        ([0.7, 0.3], [[0.93, 0.07], [0.03, 0.97]]),
        ([0.55, 0.3, 0.15], [[0.9, 0.07, 0.03], [0.05, 0.9, 0.05], [0.0, 0.06, 0.94]]),
    ],
)
@pytest.mark.long
def test_intervals_hold_the_truth_and_the_estimate_is_nearer_than_the_count(
    shares: list[float], recall: list[list[float]]
) -> None:
    rng, m = np.random.default_rng(1), np.array(recall)
    held, ours, counted = [], [], []
    for run in range(200):
        truth, mapped = simulated(rng, shares, m)
        found = area.corrected(mapped, tiles_of_a_test(rng, m), 1.0, seed=run)
        held.append([one["low"] <= true <= one["high"] for one, true in zip(found, truth, strict=True)])
        ours.append(np.abs([one["hectares"] for one in found] - truth).sum())
        counted.append(np.abs(mapped.sum(axis=0) - truth).sum())
    assert (np.mean(held, axis=0) >= 0.93).all()
    assert np.median(ours) < 0.75 * np.median(counted)


def test_errors_that_hang_together_widen_the_interval() -> None:
    confusion = np.array([[950, 50], [50, 950]])
    apart, together = np.tile([80, 20], (100, 1)), np.repeat([[100, 0], [0, 100]], [80, 20], axis=0)
    narrow, wide = (area.corrected(blocks, confusion, 1.0, seed=0)[1] for blocks in (apart, together))
    assert narrow["hectares"] == pytest.approx(wide["hectares"])
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_a_small_map_has_smaller_blocks_not_none() -> None:
    """48 x 48 cells of 32 pixels: nine blocks of 512 pixels. A fifth of the cells is City, in one piece or anywhere."""
    together = np.zeros((48, 48), np.uint8)
    together[:, :10] = 1
    apart = np.random.default_rng(0).permutation(together.ravel()).reshape(48, 48)
    nowhere, right = np.zeros((48, 48), bool), [[900, 0], [0, 900]]
    wide, narrow = (
        area.corrected_hectares(cells, nowhere, ["Farmland", "City"], right, 1.0, stride=32)["City"]
        for cells in (together, apart)
    )
    assert wide["hectares"] == narrow["hectares"] == 480
    assert wide["high"] - wide["low"] > 3 * (narrow["high"] - narrow["low"])


def test_blocks_of_one_class_are_no_proof_that_there_is_no_other() -> None:
    farmland, city = area.corrected(np.tile([100, 0], (40, 1)), np.array([[500, 0], [0, 500]]), 1.0, seed=0)
    assert (farmland["hectares"], city["hectares"]) == (4000, 0)
    assert farmland["low"] < 4000 and 0.1 < city["high"] < 20


def test_no_share_is_negative_though_fewer_cells_are_mapped_than_errors_alone_would_give() -> None:
    mapped, confusion = np.tile([99, 1, 0], (20, 1)), np.array([[90, 10, 0], [5, 90, 5], [0, 5, 95]])
    found = area.corrected(mapped, confusion, 1.0, seed=0)
    assert sum(one["hectares"] for one in found) == pytest.approx(2000)
    assert all(0 <= one["low"] <= one["hectares"] <= one["high"] for one in found)


def test_a_model_that_cannot_tell_classes_apart_gives_intervals_that_say_so() -> None:
    (one, _) = area.corrected(np.tile([60, 40], (20, 1)), np.array([[50, 50], [50, 50]]), 1.0, seed=0)
    assert one["high"] - one["low"] > 1500


def test_what_cannot_be_estimated_is_refused() -> None:
    with pytest.raises(UserError, match="no valid cell"):
        area.corrected(np.zeros((3, 2), int), np.eye(2, dtype=int), 1.0, seed=0)
    with pytest.raises(UserError, match="lack a class"):
        area.corrected(np.ones((3, 2), int), np.array([[9, 1], [0, 0]]), 1.0, seed=0)
