"""What the tests of splits share: a server of lists."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from landuse.data.sources import transfer


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], str]]:
    """Serves the files of a folder, returns the address; downloads lie in a repository of the test's own."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    def started(folder: Path) -> str:
        server = running.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        running.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(transfer, "_BACKOFF", 0.001)
    with ExitStack() as running:
        yield started
