"""The maps of the features, and all explanations together."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small
from sklearn.neighbors import KNeighborsClassifier

from landuse.report import explain
from landuse.report.explain import embedding

COLUMNS = ["file", "class", "label", "prediction", "split", "correct", "pca_x", "pca_y", "tsne_x", "tsne_y"]


def test_the_maps_keep_labels_apart_and_axes_are_the_principal_ones(predicted: Callable) -> None:
    p = predicted(count=150, classes=3, errors=9)
    table = embedding.embed(p.tiles, p.probabilities, p.features, p.names, 42)
    assert list(table.columns) == COLUMNS
    assert table["file"].to_list() == p.tiles["file"].to_list()
    assert (~table["correct"]).sum() == 9
    for axes in (["pca_x", "pca_y"], ["tsne_x", "tsne_y"]):
        neighbours = KNeighborsClassifier(5).fit(table[axes], table["prediction"])
        assert neighbours.score(table[axes], table["prediction"]) > 0.95, axes
    centred = p.features - p.features.mean(axis=0)
    u, s, _ = np.linalg.svd(centred.astype(np.float64), full_matrices=False)
    np.testing.assert_allclose(np.abs(table[["pca_x", "pca_y"]]), np.abs(u[:, :2] * s[:2]), atol=1e-4)


def test_a_sample_keeps_the_proportions(predicted: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "_TILES", 100)
    p = predicted(count=400, classes=4, errors=80)
    table = embedding.embed(p.tiles, p.probabilities, p.features, p.names, 42)
    assert len(table) == table["file"].nunique() == 100
    assert table["split"].value_counts().to_dict() == {"test": 80, "val": 20}
    assert abs((~table["correct"]).sum() - 20) <= 2
    assert table["class"].value_counts().between(24, 26).all()


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7])
def test_few_tiles_have_a_map_without_warnings(predicted: Callable, count: int) -> None:
    p = predicted(count=count, errors=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = embedding.embed(p.tiles, p.probabilities, p.features, p.names, 42)
        same = embedding.embed(p.tiles, p.probabilities, np.ones_like(p.features), p.names, 42)
        narrow = embedding.embed(p.tiles, p.probabilities, p.features[:, :1], p.names, 42)
    for found in (table, same, narrow):
        assert np.isfinite(found[COLUMNS[6:]].to_numpy()).all()
    assert (same[COLUMNS[6:]] == 0).all(axis=None)


@pytest.mark.long
def test_all_explanations_are_written_in_the_same_bytes_again(predicted: Callable, tmp_path: Path) -> None:
    p = predicted(count=170, classes=85, errors=20)
    model = small.network(85).eval()
    tiles = p.tiles.set_index(np.arange(170) + 1000)  # as a part of the split table
    found = [
        explain.write(p.store, model, tiles, p.probabilities, p.features, p.names, 42, tmp_path / name)
        for name in ("first", "again")
    ]
    names = sorted(file.name for file in (tmp_path / "first").iterdir())
    assert names == ["embedding.csv", "suspects.csv"]
    for name in names:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    for one, two in zip(found[0].galleries, found[1].galleries, strict=True):
        for first, again in zip(one.exhibits, two.exhibits, strict=True):
            assert first.overlay is not None
            assert (first.overlay == again.overlay).all()
    assert [g.name for g in found[0].galleries] == ["errors", "uncertain", "correct", "suspects"]
    read = pd.read_csv(tmp_path / "first/suspects.csv")
    assert read["file"].to_list() == found[0].suspects["file"].to_list()
    assert len(pd.read_csv(tmp_path / "first/embedding.csv")) == 170
