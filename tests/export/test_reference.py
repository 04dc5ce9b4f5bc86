"""What new tiles are compared with."""

import io

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from landuse.evaluation import ood
from landuse.export import reference
from landuse.export.onnx_file import Outputs
from landuse.inference.strangers import Reference
from landuse.spec.answers import Answers


def tiles(seed: int, count: int, width: int, shift: float = 0.0, labels: int = 3) -> Outputs:
    rng = np.random.default_rng(seed)
    features = rng.normal(1 + shift * (np.arange(width) % 2), 0.3, (count, width)).astype(np.float32)
    return Outputs(rng.dirichlet(np.ones(labels), count).astype(np.float32), features)


def answers(found: Outputs) -> Answers:
    """Statistics are what is compared; the last stage does not matter here."""
    rows, last = np.arange(len(found.features)), np.ones((len(found.features), 4), np.float32)
    return Answers(rows, rows % 3, np.zeros((len(rows), 1, 1, 3), np.float32), last, found.features)


def read(content: bytes, name: str = "features") -> np.ndarray:
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return np.asarray(found[name])


@pytest.mark.parametrize("width", [20, 300, pytest.param(1600, marks=pytest.mark.long)])
def test_it_is_small_for_any_network_and_tells_strangers_as_evaluation_does(width: int) -> None:
    val, inside, outside = tiles(0, 1500, width), tiles(1, 300, width), tiles(2, 300, width, shift=0.02)
    content, known = reference.make(val, np.arange(1500) % 3)
    assert len(content) < 5_000_000
    ours = Reference(read(content).astype(np.float32), known.neighbours, known.limit)
    theirs = ood.Reference.fit(answers(val))
    truth = np.repeat([0, 1], 300)
    scores = [
        np.concatenate([ours.score(x.features), -ood.scores(answers(x), theirs)["knn"]]) for x in (inside, outside)
    ]
    found = roc_auc_score(truth, np.concatenate([score[:300] for score in scores]))
    expected = roc_auc_score(truth, np.concatenate([score[300:] for score in scores]))
    assert found == pytest.approx(expected, abs=1e-4 if width == 20 else 0.02)


def test_95_percent_of_the_validation_tiles_are_under_the_limit_each_without_itself() -> None:
    val = tiles(0, 200, 8)
    _, known = reference.make(val, np.zeros(200, dtype=np.int64))
    unit = val.features / np.linalg.norm(val.features, axis=1, keepdims=True)
    every = np.linalg.norm(unit[:, None] - unit[None], axis=2)
    np.fill_diagonal(every, np.inf)
    tenth = np.sort(every, axis=1)[:, 9]
    assert known.limit == pytest.approx(np.quantile(tenth, 0.95), rel=1e-4)
    assert (tenth < known.limit).mean() == 0.95


def test_a_rare_label_is_kept_whole_where_tiles_are_left_out() -> None:
    targets = np.repeat([0, 1], [1470, 30])
    val = tiles(0, 1500, 4096)
    content, _ = reference.make(val, targets)
    kept = reference._balanced(targets, len(read(content)))
    assert len(kept) == len(read(content)) < 1500
    assert (targets[kept] == 1).sum() == 30
    assert np.allclose(read(content), reference.unit(val.features[kept]), atol=1e-3)


def test_the_same_tiles_give_the_same_bytes() -> None:
    made = [reference.make(tiles(0, 500, 4096), np.arange(500) % 7)[0] for _ in range(2)]
    assert made[0] == made[1]


def test_probabilities_of_validation_tiles_are_there_for_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    val, targets = tiles(0, 500, 4), np.zeros(500, dtype=np.int64)
    assert np.array_equal(read(reference.make(val, targets)[0], "probabilities"), val.probabilities)
    monkeypatch.setattr(reference, "_PROBABILITIES", 1200)
    monkeypatch.setattr(reference, "_TILES", 50)
    content, _ = reference.make(val, targets)
    assert read(content, "probabilities").shape == (100, 3)
    assert read(content).shape == (50, 4)


def test_three_validation_tiles_that_are_alike_have_a_limit() -> None:
    val = Outputs(np.full((3, 2), 0.5, dtype=np.float32), np.ones((3, 4), dtype=np.float32))
    content, known = reference.make(val, np.array([0, 1, 1]))
    assert known.limit > 0
    assert np.isfinite(Reference(read(content), known.neighbours, known.limit).score(val.features)).all()
