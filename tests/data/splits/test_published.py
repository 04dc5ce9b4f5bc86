"""Published lists: read in the forms there are, matched to the tiles, refused where they cannot be right."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from landuse.core.errors import UserError
from landuse.data.splits import published
from landuse.params import PARTS, Published, PublishedList


def table(*files: str, aside: str | None = None) -> pd.DataFrame:
    """Tiles that are learnt as their classes, but for those of one class."""
    made = pd.DataFrame({"file": files, "class": [file.split("/")[0] for file in files]})
    made["label"] = made["class"].where(made["class"] != aside, "")
    made["target"] = (made["label"] != "").astype(int) - 1
    return made


SIX = table(*(f"a/a_{i}.jpg" for i in range(1, 7)))


def lists(folder: Path, train: str = "a_1", val: str = "a_2", test: str = "a_3") -> Published:
    made = {}
    for part, content in zip(PARTS, (train, val, test), strict=True):
        (folder / f"{part}.txt").write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        made[part] = PublishedList(list=str(folder / f"{part}.txt"), sha256=digest)
    return Published(**made)


@pytest.mark.parametrize(
    "line",
    [
        "a_1.jpg",  # torchgeo, Neumann
        "EuroSAT_RGB/a/a_1.jpg 0 1",  # Zhou
        "a/a_1.tif",  # the extension of the other form
        "a/a_1",
        "a_1",
        "2750\\a\\a_1.JPG",
        "\ufeffa_1.jpg\r\n\r\n",
    ],
)
def test_a_line_of_any_known_form_names_its_tile(tmp_path: Path, line: str) -> None:
    parts, counts = published.deal(SIX, lists(tmp_path, train=line))
    assert parts.tolist() == ["train", "val", "test", "unlisted", "unlisted", "unlisted"]
    assert counts["train"] == {"listed": 1, "not_in_data": 0}


def test_names_of_any_kind_match_by_class_and_name(tmp_path: Path) -> None:
    tiles = table("NA/one v1.2.png", "NA/2.png", "NA/3.png", "Town/2.png", "Town/3.png", "Town/4")
    parts, _ = published.deal(
        tiles, lists(tmp_path, "NA/one v1.2.jpg\nTown/2.png", "x/NA/2.png\nTown/3.png", "4\nNA/3.png")
    )
    assert parts.tolist() == ["train", "val", "test", "train", "val", "test"]


def test_listed_tiles_that_the_data_lacks_are_counted_and_those_kept_aside_are_not_missing(tmp_path: Path) -> None:
    tiles = table(*SIX["file"], "b/b_1.jpg", aside="b")
    _, counts = published.deal(tiles, lists(tmp_path, train="a_1\na_4\na_99\na_99\nb_1\n"))
    assert counts["train"] == {"listed": 4, "not_in_data": 1}


@pytest.mark.parametrize(
    ("tiles", "content", "told"),
    [
        (SIX, {"val": "a_1.jpg"}, ["a_1 is in the lists of both train and val"]),
        (SIX, {"val": "a/a_1.tif"}, ["a/a_1.jpg is in the lists of both val and train"]),
        (SIX, {"val": "z_1.jpg\nz_2.jpg"}, ["split.published.val", "none of its 2 names", "z_1", "a/a_1.jpg"]),
        (SIX, {"test": " \n"}, ["split.published.test", "is empty"]),
        (table("a/1.png", "b/1.png", "a/2.png", "a/3.png"), {"train": "1.png"}, ["'1'", "several", "<Class>/<name>"]),
        (table(*SIX["file"], "b/b_1.jpg"), {"train": "a_1\nb_1"}, ["split.published.val", "label b"]),
        (
            table(*SIX["file"], "b/b_1.jpg", "b/b_2.jpg"),
            {"train": "a_1\nb_1", "val": "a_2\nb_2"},
            ["split.published.test", "label b"],
        ),
    ],
)
def test_lists_that_cannot_be_right_are_refused(
    tmp_path: Path, tiles: pd.DataFrame, content: dict[str, str], told: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        published.deal(tiles, lists(tmp_path, **content))
    assert all(word in str(caught.value) for word in told), caught.value


def test_a_list_that_changed_is_missing_or_not_named_is_refused(tmp_path: Path) -> None:
    made = lists(tmp_path)
    (tmp_path / "val.txt").write_text("a_4")
    with pytest.raises(UserError, match=r"split\.published\.val: .* is not the expected list"):
        published.deal(SIX, made)
    (tmp_path / "train.txt").unlink()
    with pytest.raises(UserError, match=r"split\.published\.train: no list at"):
        published.deal(SIX, made)
    nothing = PublishedList(list=None, sha256=None)
    with pytest.raises(UserError, match=r"split\.published\.train\.list is null"):
        published.deal(SIX, Published(train=nothing, val=nothing, test=nothing))


def test_a_list_without_a_digest_is_taken_and_its_digest_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = lists(tmp_path)
    unpinned = made.model_copy(update={"test": PublishedList(list=made.test.list, sha256=None)})
    published.deal(SIX, unpinned)
    assert (
        f"split.published.test: to be sure of this list, set its sha256: {made.test.sha256}" in capsys.readouterr().err
    )


def at(url: str, made: Published, **changed: str | None) -> Published:
    """The same lists by their URLs, with some digests changed."""
    return Published(
        **{
            part: PublishedList(
                list=f"{url}/{part}.txt", sha256=changed[part] if part in changed else getattr(made, part).sha256
            )
            for part in PARTS
        }
    )


def test_lists_at_urls_are_fetched_once_and_checked(tmp_path: Path, serve: Callable[[Path], str]) -> None:
    made, url = lists(tmp_path), serve(tmp_path)
    expected = ["train", "val", "test", "unlisted", "unlisted", "unlisted"]
    with pytest.raises(UserError, match="wrong content"):
        published.deal(SIX, at(url, made, val="0" * 64))
    assert published.deal(SIX, at(url, made))[0].tolist() == expected
    for part in PARTS:
        (tmp_path / f"{part}.txt").unlink()
    assert published.deal(SIX, at(url, made))[0].tolist() == expected  # from .landuse/downloads
    with pytest.raises(UserError, match=r"split\.published\.val: .* is not the expected list"):
        published.deal(SIX, at(url, made, val="0" * 64))


def test_a_list_that_cannot_be_fetched_is_refused_with_the_remedy(tmp_path: Path, serve: Callable[[Path], str]) -> None:
    made, url = lists(tmp_path), serve(tmp_path)
    (tmp_path / "test.txt").unlink()
    with pytest.raises(UserError, match=r"test\.txt .*404.*: check split\.published\.test, or save the list yourself"):
        published.deal(SIX, at(url, made))


@pytest.mark.real
@pytest.mark.parametrize(("name", "sizes"), [("eurosat-spatial", (16200, 5400, 5400)), ("zhou", (13500, 5400, 8100))])
def test_the_real_lists_name_every_tile_of_eurosat(real_data: Path, name: str, sizes: tuple[int, int, int]) -> None:
    coordinates = pd.read_csv(real_data / "splits" / "eurosat_coords.csv")
    tiles = table(*(coordinates["class"] + "/" + coordinates["file"]), aside="SeaLake")
    named = {part: PublishedList(list=str(real_data / "splits" / f"{name}-{part}.txt"), sha256=None) for part in PARTS}
    parts, counts = published.deal(tiles, Published(**named))
    assert parts.value_counts().to_dict() == dict(zip(PARTS, sizes, strict=True))
    assert counts == {part: {"listed": size, "not_in_data": 0} for part, size in zip(PARTS, sizes, strict=True)}
    some, counts = published.deal(tiles[::10].reset_index(drop=True), Published(**named))
    assert len(some) + sum(count["not_in_data"] for count in counts.values()) == 27000
