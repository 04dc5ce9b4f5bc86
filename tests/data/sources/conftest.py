"""An HTTP server on this machine that misbehaves on order, and the ``data`` section for a source."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import DEFAULTS

from landuse import params
from landuse.data.sources import transfer
from landuse.data.sources.fetch import Address


@pytest.fixture
def data() -> Callable[..., params.Data]:
    """Make a ``data`` section: the one of params.yaml with some keys changed."""
    section = params.read(DEFAULTS / "params.yaml").data
    return lambda **changes: params.Data.model_validate(section.model_dump() | changes)


class Handler(BaseHTTPRequestHandler):
    """Answers GET as ``Server`` says; understands Range and If-Range."""

    server: "Server"

    def do_GET(self) -> None:
        server, asked = self.server, self.headers["Range"]
        server.asked.append(asked)
        time.sleep(server.delay)
        status = server.statuses.pop(0) if server.statuses else 200
        if status != 200:
            self.send_error(status)
            return
        fresh = self.headers["If-Range"] in (None, server.etag)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges and fresh else 0
        total = len(server.content)
        if start >= total:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        end = min(total, start + server.longest) if start else total
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{total}")
        if server.etag:
            self.send_header("ETag", server.etag)
        self.send_header("Content-Type", server.content_type)
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        stop = server.drop_at.pop(0) if server.drop_at else end
        self.wfile.write(server.content[start:stop])
        server.sent += max(0, min(stop, end) - start)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """drop_at, statuses: one a request, in turn; when used up, the server behaves."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.content_type = "application/octet-stream"
        self.etag: str | None = '"v1"'
        self.ranges = True
        self.longest = 1 << 30  # bytes in the answer to a range
        self.delay = 0.0
        self.drop_at: list[int] = []
        self.statuses: list[int] = []
        self.asked: list[str | None] = []
        self.sent = 0

    def address(self, checksum: str | None = None) -> Address:
        return Address(f"http://127.0.0.1:{self.server_port}/tiles.zip?download=1", checksum)


@pytest.fixture
def server(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:  # noqa: ARG001
    """A running server; what is downloaded lies in a repository of the test's own."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def downloads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the downloads, inside a repository of the test's own."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(transfer, "_BACKOFF", 0.001)
    return tmp_path / ".landuse" / "downloads"
