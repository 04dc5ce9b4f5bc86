"""What a user sees: plain ``mlflow ui`` in the root, looked at with headless Chromium."""

import os
import sys
from pathlib import Path

import pytest
from browser import chromium, free_port, server, wait_for
from PIL import Image

from landuse import summary, tracking

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # SQLAlchemy to MLflow, on first use

ROW = {"phase": "all", "lr": 1e-3, "train_loss": 0.5, "train_accuracy": 0.8, "val_accuracy": 0.8, "val_macro_f1": 0.8}


@pytest.mark.browser
@pytest.mark.long
def test_the_run_and_its_charts_are_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "DVC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: x, outs: [plots/training_curves.png]}}")
    (tmp_path / "plots").mkdir()
    Image.new("RGB", (40, 30), "red").save("plots/training_curves.png")
    with chromium(tmp_path) as browser:
        with tracking.run("3f2a" * 16, {"train.recipe": "fast", "model.backbone": "resnet18"}, {}) as tracked:
            for epoch in (1, 2, 3):
                tracked.epoch(ROW | {"epoch": epoch, "val_loss": 1 / epoch}, {"tiles_per_second": 900.0})

        ui = f"http://127.0.0.1:{free_port()}"
        mlflow = [str(Path(sys.executable).with_name("mlflow")), "ui", "--port", ui.split(":")[-1], "--workers", "1"]
        with server(mlflow, tmp_path, f"{ui}/health"):
            browser.open(summary.RUNS.replace("http://127.0.0.1:5000", ui))
            wait_for("list of runs", lambda: browser.shows("landuse", "fast-resnet18-3f2a", "Group by"))
            assert not browser.shows("Observability")  # the page for language models
            browser.screenshot(tmp_path / "runs.png")

            page = f"{ui}/#/experiments/1/runs/{tracked.run_id}"
            browser.open(f"{page}/model-metrics")
            curves = "return document.querySelectorAll('.scatterlayer path.js-line').length"
            wait_for("charts", lambda: browser.run(curves) >= 3 and browser.shows("fast-resnet18-3f2a", "val_loss"))
            browser.screenshot(tmp_path / "charts.png")

            browser.open(f"{page}/artifacts/plots/training_curves.png")
            width = "return [...document.images].some(picture => picture.naturalWidth == 40)"
            wait_for("picture", lambda: browser.run(width) and browser.shows("training_curves.png"))
            browser.screenshot(tmp_path / "artefacts.png")
