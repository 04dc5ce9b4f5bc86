"""The folder of a change: what is in it, and what is refused."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
from exported import write_model
from land import CITY, FARM, read, scene
from mapped import METRES, NORTH, WEST, write_map
from PIL import Image

from landuse import sensors
from landuse.cli import main
from landuse.core.errors import UserError
from landuse.inference.change import change_maps, change_scenes, making
from landuse.inference.map import MapOptions
from landuse.inference.scene import SceneOptions

SHAPE = (40, 48)
CHANGED = np.s_[10:18, 20:30]  # 80 cells of farmland that became city
HECTARES = METRES**2 / 10_000
Scenes = tuple[str, str]
OLD, NEW = "2024-06-12", "2026-06-20"


def answers(seed: int, later: bool = False) -> np.ndarray:
    """(2, rows, columns) probabilities; city is the right third."""
    city = np.zeros(SHAPE, dtype=bool)
    city[:, 32:] = True
    if later:
        city[CHANGED] = True
    odds = (2 * city - 1) * 6 + 3 * np.random.default_rng(seed).standard_normal(SHAPE)
    share = 1 / (1 + np.exp(-odds))
    return np.stack([1 - share, share])


def picture(seed: int, hidden: Any = None, moved: int = 0) -> np.ndarray:
    """Four pixels a cell; one land, with noise of its own each time."""
    land = np.random.default_rng(8).integers(40, 160, (SHAPE[0] * 2 + 8, SHAPE[1] * 2 + 8))
    pixels = np.kron(land, np.ones((2, 2)))[: SHAPE[0] * 4, moved : moved + SHAPE[1] * 4]
    noisy = pixels + np.random.default_rng(seed).normal(0, 8, pixels.shape)
    grey = np.rint(noisy.clip(0, 255)).astype(np.uint8)
    shown = np.full_like(grey, 255)
    if hidden is not None:
        shown[hidden] = 0
    return np.dstack([grey, grey, grey, shown])


def two_maps(folder: Path, **after: Any) -> tuple[Path, Path]:
    """Maps of two dates; the second with other settings of ``write_map``."""
    ood = np.full(SHAPE, 0.5)
    write_map(folder / "old", answers(1), ood=ood, picture=picture(1), date=OLD, level="L1C")
    settings = {"ood": ood, "picture": picture(2), "date": NEW, "level": "L1C"} | after
    write_map(folder / "new", settings.pop("probabilities", answers(2, later=True)), **settings)
    return folder / "old", folder / "new"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("change")
    change_maps(*two_maps(folder), folder / "out")
    return folder / "out"


def test_the_change_is_told_in_hectares_with_an_interval(made: Path) -> None:
    table = json.loads((made / "change.json").read_text())
    farmland, to_city, to_farmland, city = table["transitions"]
    assert (to_city["from"], to_city["to"]) == ("Farmland", "City")
    true = 80 * HECTARES
    assert to_city["low"] <= true <= to_city["high"] and to_city["hectares"] == pytest.approx(true, rel=0.15)
    assert to_farmland["hectares"] < 0.1 * true
    assert to_city["compared_hectares"] + to_farmland["compared_hectares"] > 1.3 * true
    assert table["changed_hectares"]["hectares"] == pytest.approx(to_city["hectares"] + to_farmland["hectares"])
    total = sum(row["hectares"] for row in table["transitions"])
    assert total == pytest.approx(SHAPE[0] * SHAPE[1] * HECTARES)
    assert table["net_hectares"]["City"]["hectares"] == pytest.approx(to_city["hectares"] - to_farmland["hectares"])
    assert sum(row["share"] for row in table["transitions"]) == pytest.approx(1, abs=1e-5)
    assert farmland["hectares"] > city["hectares"]


def test_the_table_says_what_else_was_found(made: Path) -> None:
    table = json.loads((made / "change.json").read_text())
    assert table["kind"] == "change" and table["classes"] == ["Farmland", "City"]
    assert table["before"] == {"name": "old", "date": OLD, "valid_cells": 1920}
    assert table["shape"] == list(SHAPE) and table["cell_metres"] == METRES and table["unknown_cells"] == 0
    assert table["shift"]["cells"] < 0.05
    correlations = [row["correlation"] for row in table["sensitivity"]]
    changed = [row["changed_hectares"] for row in table["sensitivity"]]
    assert correlations == [0, 0.25, 0.5, 0.75] and changed == sorted(changed)
    assert table["decisions"] and (made / "decisions.log").read_text().splitlines() == table["decisions"]
    rows = list(csv.DictReader((made / "transitions.csv").open()))
    assert [row["hectares"] for row in rows] == [str(row["hectares"]) for row in table["transitions"]]


def test_the_rasters_show_where(made: Path) -> None:
    with rasterio.open(made / "transitions.tif") as file:
        codes = file.read(1)
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG" and file.nodata == 255
        assert file.tags(1)["1"] == "Farmland to City" and file.colormap(1)[1][:3] == (0xD1, 0x49, 0x5B)
        assert file.crs.to_epsg() == 32632 and file.transform.c == WEST and file.transform.f == NORTH
    assert (codes[CHANGED] == 1).mean() > 0.7
    codes[CHANGED] = 0
    assert (codes % 3 != 0).mean() < 0.01
    with rasterio.open(made / "change.tif") as file:
        bands = file.read()
        assert file.descriptions == ("probability of change", "probability Farmland to City",
                                     "probability City to Farmland")  # fmt: skip
        assert file.scales == (1 / 250,) * 3
    assert bands[0] == pytest.approx(bands[1].astype(int) + bands[2], abs=1)
    assert (read(made / "after.tif") == read(made.parent / "new/classes.tif")).all()
    assert Image.open(made / "before.png").size == Image.open(made.parent / "old/quicklook.png").size
    assert Image.open(made / "change.png").size[0] > 1200


def test_the_polygons_are_those_of_the_changed_cells(made: Path) -> None:
    codes = read(made / "transitions.tif")[0]
    *_, fields = pyogrio.raw.read(made / "transitions.gpkg", layer="transitions")
    names, hectares, probability = fields
    for code, name in ((1, "Farmland to City"), (2, "City to Farmland")):
        assert hectares[names == name].sum() == pytest.approx((codes == code).sum() * HECTARES)
    assert set(names) <= {"Farmland to City", "City to Farmland"} and (probability > 0.3).all()


def test_the_same_maps_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    change_maps(made.parent / "old", made.parent / "new", tmp_path / "again")
    for file in made.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes(), file.name


def test_a_date_half_under_cloud_leaves_the_other_half(tmp_path: Path) -> None:
    half = answers(2, later=True)
    half[:, :, :24] = np.nan
    old, new = two_maps(tmp_path, probabilities=half, picture=picture(2, np.s_[:, :96]))
    told = "\n".join(change_maps(old, new, tmp_path / "out"))
    table = json.loads((tmp_path / "out/change.json").read_text())
    assert table["masked_cells"] == table["compared_cells"] == 960
    assert "960 cells (50%) have an answer in before only" in "\n".join(table["decisions"])
    assert "no answer at one date or both: 960 cells" in told
    true = 48 * HECTARES
    assert table["transitions"][1]["hectares"] == pytest.approx(true, rel=0.25)
    assert (read(tmp_path / "out/transitions.tif")[0, :, :24] == 255).all()


def test_strange_land_is_unknown_land_and_no_transition(tmp_path: Path) -> None:
    ood = np.full(SHAPE, 0.5)
    ood[:6] = 1.5
    old, new = two_maps(tmp_path, ood=ood)
    told = "\n".join(change_maps(old, new, tmp_path / "out"))
    table = json.loads((tmp_path / "out/change.json").read_text())
    cells = 6 * SHAPE[1]
    assert table["unknown_cells"] == cells and table["unknown_hectares"] == pytest.approx(cells * HECTARES)
    assert sum(row["hectares"] for row in table["transitions"]) == pytest.approx((1920 - cells) * HECTARES)
    assert (read(tmp_path / "out/transitions.tif")[0, :6] == 255).all()
    assert "unknown: 2,949.1 ha are strange" in told


def test_nothing_that_changed_is_no_fault(tmp_path: Path) -> None:
    old, new = two_maps(tmp_path, probabilities=answers(5))
    change_maps(old, new, tmp_path / "out")
    table = json.loads((tmp_path / "out/change.json").read_text())
    assert table["changed_hectares"]["low"] == pytest.approx(0, abs=1) and "transitions.gpkg" in {
        file.name for file in (tmp_path / "out").iterdir()
    }


def clouds(of: int) -> np.ndarray:
    found = answers(2, later=True)
    found[:, :, : 24 if of else SHAPE[1]] = np.nan
    return found


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"origin": (WEST + 0.4 * METRES, NORTH)}, "corners lie 0.40 cells to the right"),
        ({"origin": (WEST, NORTH - 3 * METRES)}, "3.00 down"),
        ({"crs": "EPSG:32633"}, "one is in EPSG:32632, the other in EPSG:32633"),
        ({"cell": 640.0}, "cells of 320 m, the other of 640 m"),
        ({"probabilities": answers(2)[:, :-1]}, "one has 40 x 48 cells, the other 39 x 48"),
        ({"model": {"identity": "2" * 64, "backbone": "resnet18"}}, "by different models"),
        ({"classes": ["Land", "Sea"]}, "classes Farmland, City, the other Land, Sea"),
        ({"level": "L2A"}, "one is of a L1C scene, the other of L2A"),
        ({"date": "2023-01-01"}, "BEFORE is of 2024-06-12, AFTER of 2023-01-01"),
        ({"probabilities": np.full((2, *SHAPE), np.nan)}, "no cell with an answer at both dates"),
        ({"ood": np.full(SHAPE, 1.5)}, "is strange"),
        ({"ood": np.where(np.arange(SHAPE[1]) < 20, 1.5, 0.5) * np.ones(SHAPE)}, "0% of the cells of"),
        ({"picture": picture(2, moved=8)}, "2.0 cells: bring both scenes to one place"),
    ],
)
def test_two_maps_that_cannot_be_compared_are_refused(tmp_path: Path, settings: dict[str, Any], told: str) -> None:
    if settings.get("ood") is None and "probabilities" in settings:
        settings["ood"] = np.full(settings["probabilities"].shape[1:], 0.5)
    old, new = two_maps(tmp_path, **settings)
    with pytest.raises(UserError, match=told):
        change_maps(old, new, tmp_path / "out")
    assert {file.name for file in tmp_path.iterdir()} == {"old", "new"}


def without_tiles(old: Path, new: Path) -> tuple[Path, Path]:
    for folder in (old, new):
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(json.dumps(summary | {"confusion": None}))
    return old, new


def brighter(old: Path, new: Path) -> tuple[Path, Path]:
    for folder, ends in ((old, [[30.0, 40.0], [150.0, 160.0]]), (new, [[125.0, 130.0], [240.0, 250.0]])):
        summary = json.loads((folder / "summary.json").read_text())
        (folder / "summary.json").write_text(json.dumps(summary | {"stretch": ends}))
    return old, new


def copied(old: Path, new: Path) -> tuple[Path, Path]:
    for name in ("scores.tif", "quicklook.png"):
        (new / name).write_bytes((old / name).read_bytes())
    return old, new


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda old, _: (old, old), "is named twice"),
        (lambda old, _: (old, old.parent / "new/../old"), "is named twice"),
        (copied, "are maps of the same scene"),
        (without_tiles, "test tiles are not known"),
        (brighter, "brighter in every band"),
        (lambda old, _: (old, old.parent / "none"), "name a folder that 'landuse map' made"),
    ],
)
def test_maps_that_say_too_little_are_refused(
    tmp_path: Path, spoil: Callable[[Path, Path], tuple[Path, Path]], told: str
) -> None:
    pair = spoil(*two_maps(tmp_path))
    with pytest.raises(UserError, match=told):
        change_maps(*pair, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_not_written_to(tmp_path: Path) -> None:
    old, new = two_maps(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="is there already"):
        change_maps(old, new, tmp_path / "out")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "export"
    write_model(folder, sensors.RGB, "uint16")
    return folder


def scenes(folder: Path) -> tuple[str, str]:
    """Two dates of 12 x 12 tiles; a block of nine became city."""
    rng = np.random.default_rng(0)
    land = np.full((12, 12), FARM)
    land[:, 8:] = CITY
    later = land.copy()
    later[2:5, 2:5] = CITY
    ground = rng.integers(-60, 60, (768, 768))
    paths = []
    for name, tiles in (("old", land), ("new", later)):
        pixels = np.kron(tiles, np.ones((64, 64))) + ground + rng.integers(-20, 20, (768, 768))
        paths.append(scene(folder / f"{name}.tif", pixels))
    return paths[0], paths[1]


@pytest.mark.long
def test_two_scenes_are_mapped_first(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    flags = ["--out", str(out), "--model", str(model), "--stride", "64", "--offset", "0", "--workers", "1"]
    main(["change", *scenes(tmp_path), *flags])
    assert "Farmland to City" in capsys.readouterr().out
    assert (read(out / "transitions.tif")[0, 2:5, 2:5] == 1).all()
    assert (out / "maps/before/classes.tif").is_file() and (out / "maps/after/summary.json").is_file()
    assert {file.name for file in tmp_path.iterdir()} == {"old.tif", "new.tif", "out"}


@pytest.mark.long
def test_a_killed_run_goes_on_with_the_maps_that_are_there(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = scenes(tmp_path)
    calls, real = [], making.map_scene

    def mapping(paths: list[str], *rest: Any) -> list[str]:
        calls.append(Path(paths[0]).name)
        if calls == ["old.tif", "new.tif"]:
            raise KeyboardInterrupt
        return real(paths, *rest)

    monkeypatch.setattr(making, "map_scene", mapping)
    how = (tmp_path / "out", model, MapOptions(stride=64, workers=1), SceneOptions(offset=0))
    with pytest.raises(KeyboardInterrupt):
        change_scenes(old, new, *how)
    assert not (tmp_path / "out").exists()
    change_scenes(old, new, *how)
    assert calls == ["old.tif", "new.tif", "new.tif"]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda old, _: (old, old), "is named twice"),
        (lambda old, new: (old, str(two_maps(Path(new).parent)[0])), "is a map, .* is none"),
        (lambda old, new: (old, scene(Path(new), np.full((768, 704), FARM))), "768 x 768 pixels"),
        (lambda old, new: (old, f"{new}.missing"), "check the path"),
    ],
)
def test_scenes_are_checked_before_they_are_mapped(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[str, str], Scenes], told: str
) -> None:
    pair = spoil(*scenes(tmp_path))
    with pytest.raises(SystemExit) as end:
        main(["change", *pair, "--out", str(tmp_path / "out"), "--model", str(model), "--offset", "0"])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.count("\n") == 1
    assert re.search(told, error)
    assert not (tmp_path / "out").exists() and not (tmp_path / ".out.maps").exists()
