"""Headless Chromium for the tests, spoken to in W3C WebDriver."""

import base64
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import PATIENCE

FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-sync", "--disable-background-networking", "--disable-component-update", "--window-size=1500,1100",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, ready: Callable[[], Any]) -> Any:
    """Ask until the answer is true; return it."""
    end = time.monotonic() + PATIENCE
    while not (answer := ready()):
        assert time.monotonic() < end, f"no {what} after {PATIENCE} s"
        time.sleep(0.1)
    return answer


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
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
        wait_for(health, lambda: answers(health))
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Browser:
    """A page in Chromium."""

    def __init__(self, driver: str, profile: Path) -> None:
        options = {"binary": shutil.which("chromium"), "args": [*FLAGS, f"--user-data-dir={profile}"]}
        logs = {"browser": "ALL", "performance": "ALL"}
        wanted = {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": logs}}}
        session = requests.post(f"{driver}/session", json=wanted, timeout=PATIENCE).json()["value"]
        self.session = f"{driver}/session/{session['sessionId']}"

    def _post(self, path: str, **content: Any) -> Any:
        answer = requests.post(f"{self.session}/{path}", json=content, timeout=PATIENCE)
        value = answer.json()["value"]
        assert answer.ok, value["message"]
        return value

    def open(self, url: str) -> None:
        """Show a page, complete: on a busy machine the driver may answer while it is still being read."""
        self._post("url", url="about:blank")  # else the page shown before could be taken for this one
        self._post("url", url=url)
        here = "return location.href !== 'about:blank' && document.readyState === 'complete'"
        wait_for(url, lambda: self.run(here))

    def run(self, script: str) -> Any:
        return self._post("execute/sync", script=script, args=[])

    def devtools(self, command: str, **settings: Any) -> Any:
        """Send a command of the Chrome DevTools Protocol."""
        return self._post("goog/cdp/execute", cmd=command, params=settings)

    def accessible(self) -> list[tuple[str, str]]:
        """Role and name of all that a screen reader meets; right after a page is opened it may be the root alone."""

        def met() -> list[tuple[str, str]]:
            nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
            return [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n["ignored"]]

        return list(wait_for("accessibility tree", lambda: len(found := met()) > 1 and found))

    def look(self, width: int, height: int = 900, dark: bool = False) -> None:
        """Pretend to be a screen of this size, in a colour scheme."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.devtools("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.devtools("Emulation.setEmulatedMedia", features=[scheme])

    def log(self, kind: str) -> list[dict[str, Any]]:
        """Entries of a log (browser, performance) since it was last read."""
        return list(self._post("se/log", type=kind))

    def shows(self, *texts: str) -> bool:
        page = self.run("return document.body.innerText")
        return all(text in page for text in texts)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(requests.get(f"{self.session}/screenshot", timeout=PATIENCE).json()["value"]))

    def screenshot_all(self, path: Path) -> None:
        """The whole page, however long."""
        picture = self.devtools("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own below ``folder``; skips the test where there is none."""
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("chromium and chromedriver are not installed (apt-get install chromium chromium-driver)")
    driver = f"http://127.0.0.1:{free_port()}"
    with server(["chromedriver", f"--port={driver.split(':')[-1]}"], folder, f"{driver}/status"):
        yield Browser(driver, folder / "profile")
