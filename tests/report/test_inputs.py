"""Files of the other stages: read whole, refused damaged, and what passes for one can be told."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from landuse.core.errors import UserError
from landuse.report import documents
from landuse.report.inputs import Explained, Inputs
from landuse.tiles.store import TileStore

JSON = {
    "models/export/model.json": "spec",
    "models/calibration.json": "calibration",
    "reports/split.json": "split",
    "metrics/train.json": "train",
    "reports/collapse.json": "collapse",
    "reports/evaluate.json": "evaluate",
    "reports/export.json": "export",
}
TABLES = {
    "plots/history.csv": "history",
    "reports/curves.csv": "curves",
    "plots/reliability.csv": "reliability",
    "plots/abstention.csv": "abstention",
}


@pytest.fixture
def store(two: tuple[Inputs, Explained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TileStore:
    """The tiles of a folder, the current one, as the other stages leave it."""
    monkeypatch.chdir(tmp_path)
    for folder in ("data", "models/export", "reports", "metrics", "plots"):
        Path(folder).mkdir(parents=True)
    for file, name in JSON.items():
        found = getattr(two[0], name)
        Path(file).write_text(json.dumps(found if isinstance(found, dict) else found.model_dump()))
    for file, name in TABLES.items():
        getattr(two[0], name).to_csv(file, index=False)
    tiles = two[0].tiles
    tiles.drop(columns=["latitude", "longitude"]).to_csv("data/split.csv", index=False)
    index = tiles[["row", "file", "class", "latitude", "longitude"]].assign(sha256="0" * 64)
    return TileStore(np.zeros((len(tiles), 8, 8, 3), np.uint8), index, two[0].data)


def test_everything_is_read_as_it_was_written(store: TileStore, two: tuple[Inputs, Explained]) -> None:
    read = Inputs.read(store)
    for name in JSON.values():
        assert getattr(read, name) == getattr(two[0], name), name
    for name in [*TABLES.values(), "tiles"]:
        pd.testing.assert_frame_equal(getattr(read, name), getattr(two[0], name), check_dtype=False)
    assert documents.card(read, two[1]) == documents.card(two[0], two[1])


@pytest.mark.parametrize("file", [*JSON, *TABLES, "data/split.csv"])
def test_a_file_that_is_missing_cut_or_of_another_shape_is_named(store: TileStore, file: str) -> None:
    whole = Path(file).read_text()
    for content in ("", whole[: len(whole) // 2].rstrip(), whole.replace("a", "b"), "{}\n"):
        Path(file).write_text(content)
        with pytest.raises(UserError, match=rf"{file} is damaged.*dvc repro"):
            Inputs.read(store)
    Path(file).unlink()
    with pytest.raises(UserError, match=rf"no {file}: run 'dvc repro"):
        Inputs.read(store)


def test_sections_of_another_evaluation_are_refused(store: TileStore, two: tuple[Inputs, Explained]) -> None:
    ood: Any = two[0].evaluate["ood"]
    for wrong in ({"best": "odin"}, {"by_class": {}}, {"classes": {"Forest": 3}}):
        Path("reports/evaluate.json").write_text(json.dumps(two[0].evaluate | {"ood": ood | wrong}))
        with pytest.raises(UserError, match=r"evaluate\.json is damaged"):
            Inputs.read(store)


def flipped(file: Path, step: int) -> Iterator[None]:
    """Damage every so manieth byte of a file, one after the other."""
    whole = file.read_bytes()
    for place in range(0, len(whole), step):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 7]) + whole[place + 1 :])
        yield
    file.write_bytes(whole)


@pytest.mark.long
def test_what_passes_for_a_result_can_be_written_into_page_and_card(
    store: TileStore, two: tuple[Inputs, Explained]
) -> None:
    """A flipped byte that still is JSON of the right shape must not break what is written after hours of work."""
    explained = replace(two[1], galleries=())
    taken = refused = 0
    for file in (*JSON, "plots/history.csv"):
        for _ in flipped(Path(file), max(17, Path(file).stat().st_size // 12)):
            try:
                inputs = Inputs.read(store)
            except UserError:
                refused += 1
                continue
            assert "<html" in documents.page(inputs, explained, {}) and "## Limits" in documents.card(inputs, explained)
            taken += 1
    assert taken > 20 and refused > 20
