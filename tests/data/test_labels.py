"""Classes of the data become labels, or are refused by name."""

from pathlib import Path

import pandas as pd
import pytest
from pydantic import ValidationError

from landuse import params
from landuse.core.errors import UserError
from landuse.data import labels

CLASSES = ["AnnualCrop", "Forest", "Highway", "Industrial", "Pasture", "PermanentCrop", "Residential"]
TABLE = {"City": ["Residential", "Industrial", "Highway"], "Farmland": ["AnnualCrop", "PermanentCrop", "Pasture"]}


def mapping(table: dict[str, list[str]] | None) -> params.Mapping:
    if table is None:
        return params.Mapping(preset="all_classes", tables={})
    return params.Mapping(preset="mine", tables={"mine": table})


def write(tmp_path: Path, table: dict[str, list[str]] | None, classes: list[str]) -> pd.DataFrame:
    files = [f"{name}/{i}.jpg" for name in classes for i in range(2)]
    index = pd.DataFrame({"row": range(len(files)), "file": files, "class": [f.split("/")[0] for f in files]})
    index.assign(sha256="x").to_csv(tmp_path / "index.csv", index=False)
    p = params.Params.model_construct(mapping=mapping(table))
    labels.run(p, tmp_path / "index.csv", tmp_path / "labels.csv")
    return pd.read_csv(tmp_path / "labels.csv", keep_default_na=False, dtype={"class": str})


def test_labels_come_in_the_order_of_the_table_and_the_rest_is_kept_aside(tmp_path: Path) -> None:
    made = write(tmp_path, TABLE, CLASSES)
    assert list(made.columns) == ["row", "file", "class", "label", "target"]
    assert made.set_index("class")["target"].to_dict() == {
        **dict.fromkeys(TABLE["City"], 0),
        **dict.fromkeys(TABLE["Farmland"], 1),
        "Forest": -1,
    }
    assert (made.loc[made["class"] == "Forest", "label"] == "").all()
    assert len(made) == 14


def test_all_classes_are_their_own_labels_in_alphabetical_order(tmp_path: Path) -> None:
    made = write(tmp_path, None, ["b", "2018", "NA"])
    assert made.drop_duplicates("class").set_index("class")["target"].to_dict() == {"2018": 0, "NA": 1, "b": 2}
    assert (made["label"] == made["class"]).all()


def test_a_label_without_a_class_or_a_name_does_not_pass_for_a_param() -> None:
    for table in ({"City": [], "Farmland": ["Pasture"]}, {"": ["Highway"], "Farmland": ["Pasture"]}):
        with pytest.raises(ValidationError):
            mapping(table)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"City": ["Residental"], "Farmland": ["Pasture"]}, ["'Residental'", "'Residential'", "all_classes"]),
        ({"City": ["Highway", "Highway"], "Farmland": ["Pasture"]}, ["'Highway'", "twice"]),
        ({"City": ["Highway"], "Farmland": ["Pasture", "Highway"]}, ["'Highway'", "twice"]),
        ({"City": ["Highway"]}, ["two"]),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, table: dict[str, list[str]], told: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        write(tmp_path, table, CLASSES)
    assert all(word in str(caught.value) for word in told)
    assert not (tmp_path / "labels.csv").exists()


def test_one_class_alone_and_a_missing_index_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="two"):
        write(tmp_path, None, ["Town"])
    with pytest.raises(UserError, match="dvc repro download"):
        labels.run(params.Params.model_construct(mapping=mapping(None)), tmp_path / "none.csv", tmp_path / "l.csv")
