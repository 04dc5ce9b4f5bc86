"""Every way to split: exact, seeded, stable, and honest about what it cannot do."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from landuse.errors import UserError
from landuse.params import PARTS, Fractions, Published, PublishedList
from landuse.splits import published, spatial, stratified

USUAL = Fractions(train=0.7, val=0.15, test=0.15)
EUROSAT = {
    "AnnualCrop": 3000,
    "Highway": 2500,
    "Industrial": 2500,
    "Pasture": 2000,
    "PermanentCrop": 2500,
    "Residential": 3000,
}


def table(counts: dict[str, int]) -> pd.DataFrame:
    files = [f"{name}/{name}_{i}.jpg" for name, count in counts.items() for i in range(1, count + 1)]
    return pd.DataFrame({"row": range(len(files)), "file": files, "class": [f.split("/")[0] for f in files]})


def test_eurosat_is_split_exactly_and_by_class() -> None:
    known = table(EUROSAT)
    parts = stratified.deal(known, USUAL, seed=42)
    assert parts.value_counts().to_dict() == {"train": 10850, "val": 2325, "test": 2325}
    by_class = pd.crosstab(known["class"], parts)
    for name, count in EUROSAT.items():
        assert by_class.loc[name, "val"] == by_class.loc[name, "test"] == count * 15 // 100


def test_the_seed_decides_and_the_order_of_rows_does_not() -> None:
    known = table({"a": 40, "b": 60})
    parts = stratified.deal(known, USUAL, seed=1)
    mixed = known.sample(frac=1, random_state=0)
    again = stratified.deal(mixed, USUAL, seed=1)
    assert again.loc[known.index].tolist() == parts.tolist()
    assert stratified.deal(known, USUAL, seed=2).tolist() != parts.tolist()


def test_a_class_is_split_alike_whatever_other_classes_are_there() -> None:
    both, alone = table({"a": 40, "b": 60}), table({"b": 60})
    of_both = stratified.deal(both, USUAL, seed=1)[both["class"] == "b"].tolist()
    assert of_both == stratified.deal(alone, USUAL, seed=1).tolist()


@pytest.mark.parametrize("count", range(4, 60))
def test_sizes_add_up_and_are_within_one_of_the_fractions(count: int) -> None:
    sizes = stratified.sizes(count, USUAL)
    assert sum(sizes.values()) == count
    assert all(abs(sizes[part] - count * getattr(USUAL, part)) < 1 for part in PARTS)


def test_remainders_take_turns_so_that_totals_come_out() -> None:
    known = table({f"class{i}": 50 for i in range(40)})
    counts = stratified.deal(known, USUAL, seed=1).value_counts()
    assert abs(counts["val"] - 300) <= 12 and abs(counts["test"] - 300) <= 12


def test_a_class_too_small_is_named() -> None:
    with pytest.raises(UserError, match=r"'b' has 3 tiles, too small"):
        stratified.deal(table({"a": 40, "b": 3}), USUAL, seed=1)


def lists(tmp_path: Path, **content: str) -> Published:
    made = {}
    for part in PARTS:
        path = tmp_path / f"{part}.txt"
        path.write_text(content[part])
        digest = hashlib.sha256(content[part].encode()).hexdigest()
        made[part] = PublishedList(list=str(path), sha256=digest)
    return Published(**made)


def test_published_lists_are_read_in_the_forms_of_torchgeo_and_of_coop(tmp_path: Path) -> None:
    known = table({"a": 5, "b": 2})
    made = lists(
        tmp_path, train="a_1.jpg\na_2.jpg\nb_1.tif\na_99.jpg\n", val="EuroSAT_RGB/a/a_3.jpg 0 1\n", test="a/a_4\nb_2\n"
    )
    parts = published.deal(known, made)
    assert parts.tolist() == ["train", "train", "val", "test", "unlisted", "train", "test"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"train": "a_1", "val": "a_1", "test": "a_2"}, "in the lists of both train and val"),
        ({"train": "a_1", "val": "z_1", "test": "a_2"}, "none of the 1 listed tiles"),
        ({"train": "a_1", "val": "<html>", "test": "a_2"}, "names no tile"),
    ],
)
def test_lists_that_cannot_be_right_are_refused(tmp_path: Path, content: dict[str, str], told: str) -> None:
    with pytest.raises(UserError, match=told):
        published.deal(table({"a": 5}), lists(tmp_path, **content))


def test_a_list_that_changed_or_is_missing_is_refused(tmp_path: Path) -> None:
    made = lists(tmp_path, train="a_1", val="a_2", test="a_3")
    (tmp_path / "val.txt").write_text("a_4")
    with pytest.raises(UserError, match="not the expected list"):
        published.deal(table({"a": 5}), made)
    (tmp_path / "train.txt").unlink()
    with pytest.raises(UserError, match="no list at"):
        published.deal(table({"a": 5}), made)
    nothing = PublishedList(list=None, sha256=None)
    with pytest.raises(UserError, match=r"split\.published\.train\.list is empty"):
        published.deal(table({"a": 5}), Published(train=nothing, val=nothing, test=nothing))


def places(count: int, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"latitude": rng.uniform(40, 60, count), "longitude": rng.uniform(-5, 30, count)})


def test_spatial_blocks_stay_together_and_meet_the_fractions() -> None:
    known = table({"a": 900, "b": 600})
    where = places(1500)
    parts = spatial.deal(known, where, USUAL, block_km=100, seed=3)
    blocks = spatial._blocks(where, 100)
    assert parts.groupby(blocks).nunique().max() == 1
    shares = pd.crosstab(known["class"], parts, normalize="index")
    for part in PARTS:
        assert shares[part].to_numpy() == pytest.approx(getattr(USUAL, part), abs=0.02)
    assert spatial.deal(known, where, USUAL, block_km=100, seed=3).equals(parts)


def test_blocks_are_square_in_kilometres() -> None:
    near = pd.DataFrame({"latitude": [60.0, 60.0], "longitude": [10.0, 10.0 + 0.9 * 50 / (111.195 * 0.5)]})
    assert spatial._blocks(near, 50).nunique() <= 2
    many = pd.DataFrame({"latitude": np.full(2000, 60.2), "longitude": np.linspace(0, 20, 2000)})
    width = 20 * 111.195 * np.cos(np.radians(60.2)) / spatial._blocks(many, 50).nunique()
    assert width == pytest.approx(50, rel=0.05)


def test_spatial_refuses_what_it_cannot_do() -> None:
    known = table({"a": 30})
    with pytest.raises(UserError, match=r"data\.coordinates"):
        spatial.deal(known, known, USUAL, 20, 0)
    together = pd.DataFrame({"latitude": [50.001] * 30, "longitude": [10.001] * 30})
    with pytest.raises(UserError, match=r"lower split\.block_km"):
        spatial.deal(known, together, USUAL, 20, 0)


def test_distance_between_test_and_train_is_that_of_the_great_circle() -> None:
    index = pd.DataFrame({"latitude": [0.0, 1.0, 50.0], "longitude": [0.0, 0.0, 0.0]})
    split = pd.DataFrame({"row": [0, 1, 2], "split": ["train", "test", "aside"]})
    assert spatial.nearest_km(index, split) == pytest.approx(111.195, abs=0.01)
    assert spatial.nearest_km(index[[]], split) is None


def test_splitting_loads_neither_torch_nor_mlflow() -> None:
    code = (
        "import sys; from landuse import labels, params, splits, tiles; print({'torch', 'mlflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.real
def test_the_real_lists_match_every_tile(real_data: Path) -> None:
    coordinates = pd.read_csv(real_data / "splits/eurosat_coords.csv")
    known = pd.DataFrame({"file": coordinates["class"] + "/" + coordinates["file"], "class": coordinates["class"]})
    for name, expected in (("eurosat-spatial", (16200, 5400, 5400)), ("zhou", (13500, 5400, 8100))):
        files = {part: PublishedList(list=str(real_data / f"splits/{name}-{part}.txt"), sha256=None) for part in PARTS}
        counts = published.deal(known, Published(**files)).value_counts()
        assert tuple(counts.reindex(PARTS)) == expected
        assert "unlisted" not in counts
    split = known.assign(row=range(len(known)), split=stratified.deal(known, USUAL, 42))
    assert spatial.nearest_km(coordinates, split) < 1
    blocks = spatial.deal(known, coordinates, USUAL, 20, 42)
    assert blocks.value_counts(normalize=True)["test"] == pytest.approx(0.15, abs=0.01)
