"""Reliability and abstention as files."""

from pathlib import Path

import pandas as pd
import reported
from PIL import Image

from landuse.evaluation import plots_certainty


def test_tables_and_pictures_in_the_same_bytes(tmp_path: Path) -> None:
    found = reported.inputs(["City", "Farmland"], 400, 10)
    assert found.reliability is not None and found.abstention is not None
    for folder in (tmp_path / "a", tmp_path / "b"):
        plots_certainty.write(found.reliability, found.abstention, 0.95, folder)
    names = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert names == ["abstention.csv", "abstention.png", "reliability.csv", "reliability.png"]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    table = pd.read_csv(tmp_path / "a/reliability.csv")
    assert list(table) == ["stage", "confidence", "accuracy", "count", "low", "high"]
    assert table.groupby("stage")["count"].sum().to_dict() == {"before": 400, "after": 400}
    with Image.open(tmp_path / "a/reliability.png") as picture:
        assert picture.size == (1100, 506)


def test_a_single_tile_can_be_drawn(tmp_path: Path) -> None:
    row = {"confidence": 0.7, "accuracy": 1.0, "count": 1, "low": 0.2, "high": 1.0}
    bins = pd.DataFrame([{"stage": stage} | row for stage in ("before", "after")])
    curve = pd.DataFrame([{"coverage": 1.0, "accuracy": 1.0, "low": 0.2, "high": 1.0, "threshold": 0.7}])
    plots_certainty.write(bins, curve, 1.0, tmp_path)
    assert (tmp_path / "abstention.png").is_file()
