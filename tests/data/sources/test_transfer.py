"""Servers that misbehave in every way we could think of: each ends soon, with the file or with one clear line."""

import gzip
import hashlib
import itertools
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from landuse.core.errors import UserError
from landuse.data.sources import fetch, transfer
from landuse.data.sources.fetch import Address

CONTENT = np.random.default_rng(0).bytes(300_000)
HALF = 150_000
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
ENDLESS = 40  # connections after which the server gives in: no client should need so many


class Visit:
    """One connection. number: counted from 0; start: of the range that was asked for, or None."""

    def __init__(self, connection: socket.socket, number: int, over: threading.Event) -> None:
        self.connection, self.number, self.over = connection, number, over
        head = b""
        while b"\r\n\r\n" not in head and (more := connection.recv(4096)):
            head += more
        asked = [line for line in head.decode().splitlines() if line.startswith("Range: bytes=")]
        self.start = int(asked[0].removeprefix("Range: bytes=").rstrip("-")) if asked else None

    def send(self, content: bytes) -> None:
        self.connection.sendall(content)

    def head(self, status: str = "200 OK", *headers: str) -> None:
        self.send("\r\n".join([f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]).encode())

    def file(self, content: bytes = CONTENT, etag: str = '"1"', stop: int | None = None, shift: int = 0) -> None:
        """The file, or the range of it; the connection ends after ``stop`` bytes of the file."""
        start = self.start or 0
        status = "200 OK" if self.start is None else "206 Partial Content"
        place = f"Content-Range: bytes {start + shift}-{len(content) - 1}/{len(content)}"
        self.head(status, f"Content-Length: {len(content) - start}", f"ETag: {etag}", place)
        self.send(content[start:stop])

    def wait(self) -> None:
        self.over.wait(60)

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Serve = Callable[[Callable[[Visit], None]], tuple[str, list[int]]]
LENGTH = f"Content-Length: {len(CONTENT)}"


def wrong_offset(v: Visit) -> None:
    v.file(stop=HALF, shift=7 if v.start else 0)


def range_without_place(v: Visit) -> None:
    v.head(
        "206 Partial Content" if v.start else "200 OK", f"Content-Length: {len(CONTENT) - (v.start or 0)}", 'ETag: "1"'
    )
    v.send(CONTENT[v.start or 0 : HALF])


def ignores_range(v: Visit) -> None:
    v.start = None
    v.file(stop=HALF if v.number == 0 else None)


def ignores_range_and_breaks(v: Visit) -> None:
    v.start = None
    v.file(stop=HALF)


def changes_unnoticed(v: Visit) -> None:
    v.file(CONTENT if v.number == 0 else CONTENT[::-1], stop=HALF if v.number == 0 else None)


def changes(v: Visit) -> None:
    v.start = None
    v.file(CONTENT[::-1] if v.number == 0 else CONTENT, f'"{v.number}"', HALF if v.number == 0 else None)


def tells_less(v: Visit) -> None:
    v.head("200 OK", f"Content-Length: {HALF}")
    v.send(CONTENT)


def tells_more(v: Visit) -> None:
    v.head("200 OK", f"Content-Length: {len(CONTENT) + 10}")
    v.send(CONTENT)


def tells_nothing(v: Visit) -> None:
    v.head()
    v.send(CONTENT)


def tells_too_much_for_the_disk(v: Visit) -> None:
    v.head("200 OK", "Content-Length: 1000000000000000000")
    v.send(CONTENT)


def tells_nonsense(v: Visit) -> None:
    v.head("200 OK", "Content-Length: 12", "Content-Length: 13")


def resets(v: Visit) -> None:
    v.file(stop=HALF)
    v.reset()


def silent(v: Visit) -> None:
    v.wait()


def silent_after_head(v: Visit) -> None:
    v.head("200 OK", LENGTH)
    v.wait()


def silent_in_the_middle(v: Visit) -> None:
    v.file(stop=HALF)
    v.wait()


def silent_in_the_middle_without_ranges(v: Visit) -> None:
    v.head("200 OK", LENGTH)
    v.send(CONTENT[:HALF])
    v.wait()


def drips(v: Visit) -> None:
    v.head("200 OK", LENGTH)
    drip(v, b"x")


def drips_chunks(v: Visit) -> None:
    v.head("200 OK", "Transfer-Encoding: chunked")
    drip(v, b"1\r\nx\r\n")


def drips_its_head(v: Visit) -> None:
    v.send(b"HTTP/1.1 200 OK\r\n")
    drip(v, b"X: y\r\n", pause=0.05)


def drip(v: Visit, piece: bytes, pause: float = 0.01) -> None:
    while not v.over.wait(pause):
        v.send(piece)


def endless(v: Visit) -> None:
    v.head()
    while not v.over.is_set():
        v.send(CONTENT)


def endless_chunks(v: Visit) -> None:
    v.head("200 OK", "Transfer-Encoding: chunked")
    while not v.over.is_set():
        v.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def broken_chunks(v: Visit) -> None:
    v.head("200 OK", "Transfer-Encoding: chunked")
    v.send(b"zz\r\nhello\r\n")


def sends_more_than_the_range(v: Visit) -> None:
    if v.start is None:
        return v.file(stop=HALF)
    place = f"Content-Range: bytes {v.start}-{len(CONTENT) - 1}/{len(CONTENT)}"
    v.head("206 Partial Content", place)
    return v.send(bytes(3 * len(CONTENT)))


def redirects(v: Visit) -> None:
    v.head("302 Found", f"Location: /{v.number}", "Content-Length: 0")


def redirects_to_nonsense(v: Visit) -> None:
    v.send(b"HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: http://[::1\xff\r\nContent-Length: 0\r\n\r\n")


def redirects_to_a_file(v: Visit) -> None:
    v.head("302 Found", "Location: file:///etc/passwd", "Content-Length: 0")


def answers(status: str, *headers: str) -> Callable[[Visit], None]:
    return lambda v: v.head(status, "Content-Length: 0", *headers)


def page(v: Visit) -> None:
    v.head("200 OK", "Content-Type: text/html; charset=utf-8", "Content-Length: 6")
    v.send(b"<html>")


def compressed(v: Visit) -> None:
    body = gzip.compress(CONTENT)
    v.head("200 OK", "Content-Encoding: gzip", f"Content-Length: {len(body)}")
    v.send(body)


def other_content(v: Visit) -> None:
    v.file(CONTENT[::-1])


def garbage(v: Visit) -> None:
    v.send(b"\x00\xff SSH-2.0 \x1b[31m\r\n" * 50)


def many_headers(v: Visit) -> None:
    v.head("200 OK", *[f"X-{n}: y" for n in range(5000)])


def long_header(v: Visit) -> None:
    v.head("200 OK", "X: " + "y" * 1_000_000)


def hangs_up(_: Visit) -> None:
    pass


FILE = "the file"  # with the real constants; all others end in a line that matches
KINDS: dict[Callable[[Visit], None] | str, str] = {
    wrong_offset: "does not fit the part|the connection broke",
    range_without_place: "does not fit the part|the connection broke",
    ignores_range: FILE,
    ignores_range_and_breaks: "the connection broke",
    changes: FILE,
    changes_unnoticed: "wrong content",
    tells_less: "wrong content",
    tells_more: "the connection broke",
    tells_nothing: FILE,
    tells_too_much_for_the_disk: "takes 1,000,000,000,000 MB, but the disk .* free some space",
    tells_nonsense: "no HTTP",
    resets: "the connection broke|ends the connection",
    silent: "no answer within",
    silent_after_head: "no answer within|fewer than",
    silent_in_the_middle: "no answer within|fewer than",
    silent_in_the_middle_without_ranges: "no answer within|fewer than",
    drips: "no answer within|fewer than",
    drips_chunks: "no answer within|fewer than",
    drips_its_head: "no answer within|no HTTP",
    endless: "more than 2,000,000 bytes",
    endless_chunks: "more than 2,000,000 bytes",
    broken_chunks: "the connection broke",
    sends_more_than_the_range: "more than 300,000 bytes",
    redirects: "redirects more than 5 times",
    redirects_to_nonsense: "no address of the web",
    redirects_to_a_file: "no address of the web",
    answers("429 Slow Down \x1b[31m", "Retry-After: 99999999"): r"HTTP 429 Too Many Requests, it asks to wait \d",
    answers("503 No", "Retry-After: " + "9" * 5000): r"HTTP 503 Service Unavailable \(attempt 4\)",
    answers("503 No", "Retry-After: soon"): r"HTTP 503 Service Unavailable \(attempt 4\)",
    answers("503 No", "Retry-After: Fri, 31 Dec 2199 23:59:59 GMT"): r"it asks to wait \d",
    answers("503 No", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"): r"HTTP 503 Service Unavailable \(attempt 4\)",
    answers("500 Oops"): "HTTP 500 Internal Server Error",
    answers("403 No"): "HTTP 403 Forbidden",
    answers("204 Nothing"): "HTTP 204 No Content",
    answers("416 No"): "does not fit",
    answers("416 No", "Content-Range: bytes */0"): "does not fit",
    answers("206 Part", "Content-Range: bytes 7-9/10"): "does not fit",
    answers("999 What"): "HTTP 999",
    page: "a web page",
    compressed: "it sends the file compressed",
    other_content: "wrong content",
    garbage: "no HTTP",
    many_headers: "no HTTP",
    long_header: "no HTTP",
    hangs_up: "ends the connection",
}


@pytest.fixture
def serve(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:  # noqa: ARG001
    """Start a server that treats every connection so; returns the address and the list of connections."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def visit(connection: socket.socket, number: int, behave: Callable[[Visit], None]) -> None:
        with connection, suppress(OSError):
            behave(Visit(connection, number, over))

    def started(behave: Callable[[Visit], None]) -> tuple[str, list[int]]:
        visits: list[int] = []

        def accept() -> None:
            with suppress(OSError):
                while len(visits) < ENDLESS:
                    connection, _ = listener.accept()
                    visits.append(len(visits))
                    threading.Thread(target=visit, args=(connection, visits[-1], behave), daemon=True).start()
            listener.close()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/tiles.zip", visits

    yield started
    over.set()
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.mark.parametrize(("behave", "told"), KINDS.items(), ids=lambda value: getattr(value, "__name__", None))
def test_every_misbehaviour_ends_in_the_file_or_in_one_line(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    behave: Callable[[Visit], None],
    told: str,
) -> None:
    monkeypatch.setattr(transfer, "_LONGEST_UNTOLD", 2_000_000)
    if "within" in told:  # only these have to wait; the others need no quick machine
        monkeypatch.setattr(transfer, "_STALL", 0.2)
        monkeypatch.setattr(fetch, "PATIENCE", 1.0)
    url, visits = serve(behave)
    if told == FILE:
        assert fetch.fetch([Address(url, CHECKSUM)], "a remedy").read_bytes() == CONTENT
    else:
        with pytest.raises(UserError, match=told) as error:
            fetch.fetch([Address(url, CHECKSUM)], "a remedy")
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 300
    assert len(visits) <= 10


def test_the_constants_keep_the_promise() -> None:
    waits = [transfer._BACKOFF * 2 ** max(n - 1, 0) for n in range(1, transfer._FRUITLESS)]
    assert transfer.PATIENCE <= 60
    assert transfer._FRUITLESS * transfer._STALL + sum(waits) <= transfer.PATIENCE  # so many tries a silent server has
    assert 2 * transfer._STALL + waits[0] <= transfer.PATIENCE / 2  # and one with a mirror two
    assert transfer._ATTEMPTS <= 10
    assert 1 + transfer._REDIRECTS <= 10  # requests, before it is given up
    assert transfer._CHUNK / transfer._STALL >= 5000  # bytes a second: an hour for 20 MB at most


@pytest.mark.parametrize("seed", range(20))
def test_no_server_keeps_us_waiting_longer_than_the_constants_say(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock of the test's own: attempts that bring something, or nothing, then stall, break or ask to wait."""
    draw, clock, attempts = random.Random(seed), SimpleNamespace(now=1000.0), itertools.count()
    last_useful = clock.now

    def get(_url: str, _part: Path, _join: bool, progress: transfer._Progress) -> None:
        nonlocal last_useful
        next(attempts)
        for _ in range(draw.choice([0, 0, 1, 5])):
            clock.now += draw.uniform(0, transfer._STALL)
            progress.reach(progress.best + 1)
            last_useful = clock.now
        clock.now += draw.choice([0, transfer._STALL])
        raise transfer._BrokenError("broken", draw.choice([0, 0, 3, 20, 47, 1e9]))

    def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr(transfer, "_get", get)
    monkeypatch.setattr(transfer, "time", SimpleNamespace(monotonic=lambda: clock.now, sleep=sleep))
    with pytest.raises(transfer.RefusedError):
        transfer.transfer("http://host/a.zip", tmp_path / "a.zip.part", True, transfer.PATIENCE)
    assert clock.now - last_useful <= 60
    assert next(attempts) <= 10


def test_what_is_waited_for_is_said(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(transfer, "_STALL", 0.05)
    url, _ = serve(silent)
    with pytest.raises(UserError):
        fetch.fetch([Address(url)], "a remedy")
    lines = capsys.readouterr().err.splitlines()
    server = url.split("/")[2]
    assert lines[0].startswith(f"landuse: asking {server} for tiles-")
    assert lines[1] == f"landuse: {server}: no answer within 0 s; attempt 2 of 10 follows in 0.0 s"
    assert len(lines) == 4


def test_a_password_in_the_address_is_not_shown() -> None:
    assert transfer.host("https://me:secret@example.org:8443/a.zip") == "example.org:8443"


def test_no_thread_reads_on_after_a_stalled_download(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_STALL", 0.1)
    url, _ = serve(drips)
    with pytest.raises(UserError):
        fetch.fetch([Address(url)], "a remedy")
    for thread in threading.enumerate():
        if thread.name == "download":
            thread.join(30)
            assert not thread.is_alive()
