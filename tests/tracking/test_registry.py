"""The exported model in MLflow's registry: fetched, loaded and served as it was exported."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import requests
from browser import free_port, server
from exported import write_model
from tracked import client, write_outputs

from landuse import tracking
from landuse.inference import Model
from landuse.inference.registry import local_folder
from landuse.tracking import registry

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore:The ``noload``")]  # SQLAlchemy to MLflow

TILES = np.stack([np.full((64, 64, 3), 60, dtype=np.uint8), np.full((64, 64, 3), 200, dtype=np.uint8)])


def exported(root: Path) -> None:
    write_outputs(root)
    shutil.rmtree(root / "models/export")
    write_model(root / "models/export")


def test_it_is_registered_once_under_an_alias_that_moves(root: Path) -> None:
    import mlflow

    exported(root)
    for _ in range(2):
        tracking.track("export", register="tiles@champion")
    there = client(root)
    (version,) = there.search_model_versions("name = 'tiles'")
    assert there.get_model_version_by_alias("tiles", "champion").version == version.version
    saved = Path(mlflow.artifacts.download_artifacts("models:/tiles@champion", dst_path=str(root / "fetched")))
    assert not [file for file in saved.rglob("*") if file.suffix in (".pkl", ".pickle", ".cloudpickle")]
    model = Model.load(local_folder("models:/tiles@champion"), threads=1)
    assert model.predict(TILES).labels.tolist() == ["Farmland", "City"]
    answers = mlflow.pyfunc.load_model("models:/tiles@champion").predict(TILES)
    assert list(answers.columns) == ["label", "probability", "abstained", "ood"]
    assert answers["label"].tolist() == ["Farmland", "City"]
    assert np.allclose(answers["ood"], model.predict(TILES).ood)

    described = root / "models/export/model.json"
    described.write_text(described.read_text() + "\n")  # another calibration, say
    tracking.track("export", register="tiles@champion")
    assert len(there.search_model_versions("name = 'tiles'")) == 2
    assert there.get_model_version_by_alias("tiles", "champion").version != version.version


def test_a_stage_before_the_export_registers_nothing(root: Path) -> None:
    exported(root)
    tracking.track("evaluate", register="tiles")
    assert not client(root).search_registered_models()


def test_it_needs_no_more_packages_than_it_names() -> None:
    code = (
        "import sys, onnxruntime\nfrom landuse.inference import Model\nprint(*{m.split('.')[0] for m in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    known = {"rasterio", "pyogrio", "shapely", "PIL", "yaml", "tqdm", "numpy", "onnxruntime", "pydantic", "pandas"}
    named = {{"pyyaml": "yaml", "pillow": "PIL"}.get(name, name) for name in registry._NEEDS}
    assert known & set(done.stdout.split()) <= named


@pytest.mark.browser
def test_mlflow_serves_it(root: Path) -> None:
    exported(root)
    tracking.track("export", register="tiles@champion")
    url = f"http://127.0.0.1:{free_port()}"
    command = [str(Path(sys.executable).with_name("mlflow")), "models", "serve", "-m", "models:/tiles@champion"]
    with server([*command, "--env-manager", "local", "--port", url.split(":")[-1]], root, f"{url}/ping"):
        answer = requests.post(f"{url}/invocations", json={"inputs": TILES.tolist()}, timeout=60)
        assert answer.status_code == 200, answer.text
        rows = answer.json()["predictions"]
        assert [row["label"] for row in rows] == ["Farmland", "City"]
        assert [row["abstained"] for row in rows] == [False, False]
        assert all(0.5 < row["probability"] <= 1 and row["ood"] > 0 for row in rows)
        refused = requests.post(f"{url}/invocations", json={"inputs": TILES[:, :32].tolist()}, timeout=60)
        assert refused.status_code == 400
