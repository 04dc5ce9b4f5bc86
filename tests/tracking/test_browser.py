"""What a user sees: plain ``mlflow ui`` in the root, looked at with headless Chromium."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

from landuse import tracking

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload``")  # SQLAlchemy to MLflow, on first use

ROW = {"phase": "all", "lr": 1e-3, "train_loss": 0.5, "train_accuracy": 0.8, "val_accuracy": 0.8, "val_macro_f1": 0.8}
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update", "--window-size=1500,1100",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, ready: Callable[[], Any], seconds: float) -> Any:
    """Ask until the answer is true; return it."""
    end = time.monotonic() + seconds
    while not (answer := ready()):
        assert time.monotonic() < end, f"no {what} after {seconds} s"
        time.sleep(0.3)
    return answer


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


@contextmanager
def server(command: list[str], folder: Path, health: str) -> Iterator[None]:
    """Start a server, wait until it answers, and end it with all its children."""
    with (folder / f"{Path(command[0]).name}.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, start_new_session=True,
            env=os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
        )  # fmt: skip
    try:
        wait_for(health, lambda: answers(health), 90)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Browser:
    """A page in Chromium, spoken to in W3C WebDriver."""

    def __init__(self, driver: str, profile: Path) -> None:
        options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}}
        session = requests.post(f"{driver}/session", json=wanted, timeout=60).json()["value"]
        self.session = f"{driver}/session/{session['sessionId']}"

    def open(self, url: str) -> None:
        requests.post(f"{self.session}/url", json={"url": url}, timeout=60).raise_for_status()

    def run(self, script: str) -> Any:
        answer = requests.post(f"{self.session}/execute/sync", json={"script": script, "args": []}, timeout=60)
        return answer.json()["value"]

    def shows(self, *texts: str) -> bool:
        page = self.run("return document.body.innerText")
        return all(text in page for text in texts)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(requests.get(f"{self.session}/screenshot", timeout=60).json()["value"]))


@pytest.mark.long
def test_the_run_and_its_charts_are_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed (apt-get install chromium chromium-driver)")
    for name in [n for n in os.environ if n.startswith(("MLFLOW_", "DVC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: x, outs: [plots/training_curves.png]}}")
    (tmp_path / "plots").mkdir()
    Image.new("RGB", (40, 30), "red").save("plots/training_curves.png")
    with tracking.run("3f2a" * 16, {"train.recipe": "fast", "model.backbone": "resnet18"}, {}) as tracked:
        for epoch in (1, 2, 3):
            tracked.epoch(ROW | {"epoch": epoch, "val_loss": 1 / epoch}, {"tiles_per_second": 900.0})

    ui, driver = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    mlflow = [str(Path(sys.executable).with_name("mlflow")), "ui", "--port", ui.split(":")[-1], "--workers", "1"]
    chromedriver = ["chromedriver", f"--port={driver.split(':')[-1]}"]
    with (
        server(mlflow, tmp_path, f"{ui}/health"),
        server(chromedriver, tmp_path, f"{driver}/status"),
    ):
        browser = Browser(driver, tmp_path / "profile")
        browser.open(f"{ui}/#/experiments/1/runs")
        wait_for("list of runs", lambda: browser.shows("landuse", "fast-resnet18-3f2a"), 90)
        browser.screenshot(tmp_path / "runs.png")

        page = f"{ui}/#/experiments/1/runs/{tracked.run_id}"
        browser.open(f"{page}/model-metrics")
        curves = "return document.querySelectorAll('.scatterlayer path.js-line').length"
        wait_for("charts", lambda: browser.run(curves) >= 3 and browser.shows("fast-resnet18-3f2a", "val_loss"), 90)
        browser.screenshot(tmp_path / "charts.png")

        browser.open(f"{page}/artifacts/plots/training_curves.png")
        width = "return [...document.images].some(picture => picture.naturalWidth == 40)"
        wait_for("picture", lambda: browser.run(width) and browser.shows("training_curves.png"), 90)
        browser.screenshot(tmp_path / "artefacts.png")
