"""What coordinates give away: distances on the sphere, and the label of the nearest training tile."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import proportion_confint

from landuse.data.splits import geography, stratified
from landuse.params import PARTS, Fractions

USUAL = Fractions(train=0.7, val=0.15, test=0.15)
DEGREE = 111.195  # km of a degree of latitude


def line(degrees: list[float], parts: list[str], targets: list[int]) -> pd.DataFrame:
    """Tiles on the meridian of Greenwich."""
    return pd.DataFrame({"latitude": degrees, "longitude": 0.0, "split": parts, "target": targets})


def test_the_nearest_is_found_along_the_great_circle() -> None:
    """Over the pole, and over the line where the date changes."""
    here = pd.DataFrame({"latitude": [60.0, 0.0], "longitude": [10.0, 179.9]})
    there = pd.DataFrame({"latitude": [0.0, 60.0], "longitude": [-179.9, -170.0]})
    distance, position = geography.nearest(here, there)
    assert distance == pytest.approx([60 * DEGREE, 0.2 * DEGREE], rel=1e-5)
    assert position.tolist() == [1, 0]
    assert geography.nearest(here, there[:0])[0].tolist() == [np.inf, np.inf]
    assert len(geography.nearest(here[:0], there)[0]) == 0


def test_the_report_tells_distances_and_what_the_nearest_label_is_worth() -> None:
    parts = ["train", "train", "test", "test", "test", "test", "val", "buffer", "unused"]
    tiles = line(
        [0.0, 1.0, 0.5 / DEGREE, 4 / DEGREE, 1 + 40 / DEGREE, 1 - 2 / DEGREE, 0.0, 1.0, 1.0],
        parts,
        [0, 1, 0, 1, 1, 1, 1, 0, 0],
    )
    report = geography.audit(tiles, 0.9)
    summary = report["nearest_test_to_train_km"]
    assert [summary[key] for key in ("min", "q1", "median", "q3")] == pytest.approx([0.5, 1.625, 3, 13], abs=2e-3)
    assert (summary["share_within_640_m"], summary["share_within_5_km"]) == (0.25, 0.75)
    shown = summary["histogram"]  # of 0.5, 4, 40 and 2 km
    edges = np.geomspace(0.1, 100, len(shown["tiles"]) + 1)
    assert (shown["low"], shown["high"]) == (0.1, 100)
    assert shown["tiles"] == np.histogram([0.5, 2, 4, 40], edges)[0].tolist()
    low, high = proportion_confint(3, 4, alpha=0.1, method="wilson")
    alone = report["coordinates_only"]
    assert alone["accuracy"] == pytest.approx({"value": 0.75, "low": low, "high": high}, abs=1e-6)
    assert alone["majority"]["value"] == 0.25  # two labels as common: the first
    assert report["coordinates"] == "7 of 7 tiles"


def test_without_coordinates_in_both_parts_there_is_a_reason_instead() -> None:
    tiles = line([0.0, 1.0, np.nan], ["train", "val", "test"], [0, 0, 0])
    for unplaced, of in ((tiles, "2 of 3"), (tiles.drop(columns=["latitude", "longitude"]), "0 of 3")):
        assert geography.audit(unplaced, 0.95) == {
            "coordinates": f"{of} tiles: name a table of them in data.coordinates",
            "coordinates_only": None,
            "nearest_test_to_train_km": None,
        }


@pytest.mark.real
def test_the_random_split_of_eurosat_leaks_and_the_longitude_split_does_not(real_data: Path) -> None:
    tiles = pd.read_csv(real_data / "splits" / "eurosat_coords.csv")
    tiles["target"], _ = pd.factorize(tiles["class"])
    random = stratified.deal(tiles.assign(file=tiles["class"] + "/" + tiles["file"]), USUAL, 42)
    report = geography.audit(tiles.assign(split=random), 0.95)
    assert report["coordinates_only"]["accuracy"]["value"] == pytest.approx(0.784, abs=0.001)
    assert report["nearest_test_to_train_km"]["share_within_5_km"] == pytest.approx(0.927, abs=0.001)
    part_of = {
        name: part
        for part in PARTS
        for name in (real_data / "splits" / f"eurosat-spatial-{part}.txt").read_text().split()
    }
    report = geography.audit(tiles.assign(split=tiles["file"].map(part_of)), 0.95)
    assert report["coordinates_only"]["accuracy"]["high"] < report["coordinates_only"]["majority"]["value"]
    assert report["nearest_test_to_train_km"]["min"] == pytest.approx(438, abs=1)
