"""The split of parts of the real EuroSAT: lists from a server, coordinates from a table or from the files."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import DEFAULTS

from landuse import params
from landuse.core.errors import UserError
from landuse.core.paths import SPLIT_REPORT, TILES
from landuse.data import labels, writer
from landuse.data.splits import stage as splits
from landuse.data.splits.geography import nearest
from landuse.params import PARTS
from landuse.tiles.split import read_split
from landuse.tiles.store import open_store

pytestmark = pytest.mark.real


@pytest.fixture
def address(serve: Callable[[Path], str], real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the published lists are served; the test runs in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return serve(real_data / "splits")


def prepare(data: dict[str, Any], split: dict[str, Any]) -> dict[str, Any]:
    """Run the stages before training on all ten classes; return reports/split.json."""
    content = yaml.safe_load((DEFAULTS / "params.yaml").read_text())
    content["data"] |= data
    content["split"] |= split
    content["mapping"]["preset"] = "all_classes"
    p = params.Params.model_validate(content)
    if not TILES.exists():
        writer.run(p)
        labels.run(p)
    splits.run(p)
    report: dict[str, Any] = json.loads(SPLIT_REPORT.read_text())
    return report


def every(archive: Path, step: int) -> str:
    """A zip of every so many tiles, without Pasture: the longitude test has next to none."""
    with zipfile.ZipFile(archive) as whole, zipfile.ZipFile("some.zip", "w") as some:
        for name in sorted(n for n in whole.namelist() if n.endswith(".jpg") and "Pasture" not in n)[::step]:
            some.writestr(name, whole.read(name))
    return "some.zip"


def lists(real_data: Path, address: str, name: str) -> dict[str, dict[str, str]]:
    files = {part: f"{name}-{part}.txt" for part in PARTS}
    digests = {
        part: hashlib.sha256((real_data / "splits" / file).read_bytes()).hexdigest() for part, file in files.items()
    }
    return {part: {"list": f"{address}/{file}", "sha256": digests[part]} for part, file in files.items()}


def test_published_lists_from_a_server_with_coordinates_from_a_table(real_data: Path, address: str) -> None:
    data = {
        "source": "eurosat_rgb",
        "url": every(real_data / "EuroSAT_RGB.zip", 50),
        "coordinates": str(real_data / "splits" / "eurosat_coords.csv"),
    }
    longitude = {"method": "published", "published": lists(real_data, address, "eurosat-spatial")}
    report = prepare(data, longitude)
    assert report["tiles"]["unlisted"] == 0 and sum(report["tiles"].values()) == 500
    assert report["published"]["test"] == {"listed": 5400, "not_in_data": 5400 - report["tiles"]["test"]}
    assert report["nearest_test_to_train_km"]["min"] > 438
    report = prepare(data, longitude | {"published": lists(real_data, address, "zhou")})
    assert report["nearest_test_to_train_km"]["min"] < 5
    assert report["coordinates_only"]["accuracy"]["low"] > report["coordinates_only"]["majority"]["high"]
    broken = lists(real_data, address, "zhou")
    broken["val"]["sha256"] = "0" * 64
    with pytest.raises(UserError, match=r"split\.published\.val"):
        prepare(data, longitude | {"published": broken})


@pytest.mark.usefixtures("address")
@pytest.mark.parametrize("method", ["spatial", "spatial_kfold"])
def test_geotiffs_know_where_they_lie(real_data: Path, method: str) -> None:
    data = {"source": "eurosat_ms", "url": str(real_data / "EuroSAT_MS_469.zip")}
    report = prepare(data, {"method": method, "buffer_km": 5.0, "fold": 1, "folds": 3})
    assert report["coordinates"].split()[0] == str(sum(report["tiles"][part] for part in PARTS))
    assert sum(report["tiles"].values()) == 469
    made = read_split(open_store()).join(open_store().index[["latitude", "longitude"]])
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        distance, _ = nearest(made[made["split"] == one], made[made["split"] == other])
        assert np.min(distance) >= 5
