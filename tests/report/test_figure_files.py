"""Pictures are written in the same bytes each time, whole or not at all."""

import subprocess
import sys
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from landuse.report.figures.files import save_figure


def drawn() -> Figure:
    figure = Figure(figsize=(2, 1), layout="constrained")
    figure.subplots().plot([1, 2, 3])
    return figure


def test_the_same_picture_is_the_same_bytes_and_names_no_program(tmp_path: Path) -> None:
    for name in ("first.png", "second.png"):
        save_figure(drawn(), tmp_path / "plots" / name)
    first, second = sorted((tmp_path / "plots").iterdir())
    assert first.read_bytes() == second.read_bytes()
    with Image.open(first) as picture:
        assert picture.size == (220, 110)
        assert "Software" not in picture.info


def test_a_picture_that_cannot_be_drawn_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    figure = drawn()
    figure.axes[0].set_title("$\\nonsense{$")
    with pytest.raises(ValueError, match="nonsense"):
        save_figure(figure, path)
    assert [file.name for file in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == b"old"


def test_it_loads_no_matplotlib() -> None:
    code = "import landuse.report.figures.files, sys; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
