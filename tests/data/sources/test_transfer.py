"""Servers that misbehave in every way we could think of: each ends soon, with the file or with one clear line."""

import errno
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
from urllib3.exceptions import ReadTimeoutError
from urllib3.response import HTTPResponse

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


Behaviour = Callable[[Visit], object]
Serve = Callable[[Behaviour], tuple[str, list[int]]]


# -- how servers behave: what each sends to a visit


def says(*headers: str, status: str = "200 OK", body: bytes = b"", then: Behaviour | None = None) -> Behaviour:
    """A head, a body, and what follows before the connection ends."""

    def behave(v: Visit) -> None:
        v.head(status, *headers)
        v.send(body)
        if then:
            then(v)

    return behave


def gives(
    content: bytes = CONTENT, stop: int | None = None, etag: str = '"1"', shift: int = 0, then: Behaviour | None = None
) -> Behaviour:
    """The file, or the range of it that was asked for, and what follows."""

    def behave(v: Visit) -> None:
        v.file(content, etag, stop, shift if v.start else 0)
        if then:
            then(v)

    return behave


def in_turn(*behaviours: Behaviour, ranges: bool = True) -> Behaviour:
    """Another one for each visit, the last for all further ones. ranges: whether the server knows them."""

    def behave(v: Visit) -> None:
        v.start = v.start if ranges else None
        behaviours[min(v.number, len(behaviours) - 1)](v)

    return behave


def repeats(piece: bytes, pause: float = 0.0) -> Behaviour:
    def behave(v: Visit) -> None:
        while not v.over.wait(pause):
            v.send(piece)

    return behave


def redirects(to: bytes | None = None) -> Behaviour:
    """To an address, or to a new one each time."""

    def behave(v: Visit) -> None:
        place = to or f"/{v.number}".encode()
        v.send(b"HTTP/1.1 302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: " + place + b"\r\n\r\n")

    return behave


def more_than_the_range(v: Visit) -> None:
    place = f"Content-Range: bytes {v.start or 0}-{len(CONTENT) - 1}/{len(CONTENT)}"
    says(place, status="206 Partial Content", body=bytes(3 * len(CONTENT)))(v)


def range_without_place(v: Visit) -> None:
    left = f"Content-Length: {len(CONTENT) - (v.start or 0)}"
    says(left, 'ETag: "1"', status="206 Part" if v.start else "200 OK", body=CONTENT[v.start or 0 : HALF])(v)


def answers(status: str, *headers: str) -> Behaviour:
    return says("Content-Length: 0", *headers, status=status)


LENGTH, CHUNKED = f"Content-Length: {len(CONTENT)}", "Transfer-Encoding: chunked"
ZIPPED = gzip.compress(CONTENT)
FILE = "the file"  # with the real constants; all others end in a line that matches
KINDS: dict[str, tuple[Behaviour, str]] = {
    "wrong offset": (gives(stop=HALF, shift=7), "does not fit the part|the connection broke"),
    "range without place": (range_without_place, "does not fit the part|the connection broke"),
    "ignores range": (in_turn(gives(stop=HALF), gives(), ranges=False), FILE),
    "ignores range and breaks": (in_turn(gives(stop=HALF), ranges=False), "the connection broke"),
    "changes": (in_turn(gives(CONTENT[::-1], HALF, '"0"'), gives(), ranges=False), FILE),
    "changes unnoticed": (in_turn(gives(stop=HALF), gives(CONTENT[::-1])), "wrong content"),
    "tells less": (says(f"Content-Length: {HALF}", body=CONTENT), "wrong content"),
    "tells more": (says(f"Content-Length: {len(CONTENT) + 10}", body=CONTENT), "the connection broke"),
    "tells nothing": (says(body=CONTENT), FILE),
    "tells too much for the disk": (
        says("Content-Length: 1000000000000000000", body=CONTENT),
        "takes 1,000,000,000,000 MB, but the disk .* free some space",
    ),
    "tells nonsense": (says("Content-Length: 12", "Content-Length: 13"), "no HTTP"),
    "resets": (gives(stop=HALF, then=Visit.reset), "the connection broke|ends the connection"),
    "silent": (Visit.wait, "no answer within"),
    "silent after head": (says(LENGTH, then=Visit.wait), "no answer within|fewer than"),
    "silent in the middle": (gives(stop=HALF, then=Visit.wait), "no answer within|fewer than"),
    "silent in the middle without ranges": (
        says(LENGTH, body=CONTENT[:HALF], then=Visit.wait),
        "no answer within|fewer than",
    ),
    "drips": (says(LENGTH, then=repeats(b"x", 0.01)), "no answer within|fewer than"),
    "drips chunks": (says(CHUNKED, then=repeats(b"1\r\nx\r\n", 0.01)), "no answer within|fewer than"),
    "drips its head": (
        lambda v: (v.send(b"HTTP/1.1 200 OK\r\n"), repeats(b"X: y\r\n", 0.05)(v)),
        "no answer within|no HTTP",
    ),
    "endless": (says(then=repeats(CONTENT)), "more than 2,000,000 bytes"),
    "endless chunks": (
        says(CHUNKED, then=repeats(b"10000\r\n" + bytes(0x10000) + b"\r\n")),
        "more than 2,000,000 bytes",
    ),
    "broken chunks": (says(CHUNKED, body=b"zz\r\nhello\r\n"), "the connection broke"),
    "more than the range": (in_turn(gives(stop=HALF), more_than_the_range), "more than 300,000 bytes"),
    "redirects": (redirects(), "redirects more than 5 times"),
    "redirects to nonsense": (redirects(b"http://[::1\xff"), "no address of the web"),
    "redirects to a file": (redirects(b"file:///etc/passwd"), "no address of the web"),
    "429": (answers("429 Slow \x1b[31m", "Retry-After: 99999999"), r"HTTP 429 Too Many Requests, it asks to wait \d"),
    "later than ever": (
        answers("503 No", "Retry-After: " + "9" * 5000),
        r"HTTP 503 Service Unavailable \(attempt 4\)",
    ),
    "soon": (answers("503 No", "Retry-After: soon"), r"HTTP 503 Service Unavailable \(attempt 4\)"),
    "in 2199": (answers("503 No", "Retry-After: Fri, 31 Dec 2199 23:59:59 GMT"), r"it asks to wait \d"),
    "in 1999": (
        answers("503 No", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"),
        r"HTTP 503 Service Unavailable \(attempt 4\)",
    ),
    "500": (answers("500 Oops"), "HTTP 500 Internal Server Error"),
    "403": (answers("403 No"), "HTTP 403 Forbidden"),
    "204": (answers("204 Nothing"), "HTTP 204 No Content"),
    "416": (answers("416 No"), "does not fit"),
    "416 of nothing": (answers("416 No", "Content-Range: bytes */0"), "does not fit"),
    "206 of another part": (answers("206 Part", "Content-Range: bytes 7-9/10"), "does not fit"),
    "999": (answers("999 What"), "HTTP 999"),
    "page": (says("Content-Type: text/html; charset=utf-8", "Content-Length: 6", body=b"<html>"), "a web page"),
    "compressed": (
        says("Content-Encoding: gzip", f"Content-Length: {len(ZIPPED)}", body=ZIPPED),
        "it sends the file compressed",
    ),
    "other content": (gives(CONTENT[::-1]), "wrong content"),
    "garbage": (lambda v: v.send(b"\x00\xff SSH-2.0 \x1b[31m\r\n" * 50), "no HTTP"),
    "many headers": (says(*[f"X-{n}: y" for n in range(5000)]), "no HTTP"),
    "long header": (says("X: " + "y" * 1_000_000), "no HTTP"),
    "hangs up": (lambda _: None, "ends the connection"),
}


@pytest.fixture
def serve(downloads: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:  # noqa: ARG001
    """Start a server that treats every connection so; returns the address and the list of connections."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def visit(connection: socket.socket, number: int, behave: Behaviour) -> None:
        with connection, suppress(OSError):
            behave(Visit(connection, number, over))

    def started(behave: Behaviour) -> tuple[str, list[int]]:
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


@pytest.mark.parametrize("kind", KINDS)
def test_every_misbehaviour_ends_in_the_file_or_in_one_line(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    behave, told = KINDS[kind]
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


@pytest.mark.parametrize("error", [OSError(errno.EBADF, "Bad file descriptor"), RuntimeError("released to the pool")])
def test_a_read_that_ends_in_the_moment_it_is_given_up_is_one_line_too(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """The connection is gone before it could be shut down."""
    shut_down = HTTPResponse.shutdown
    gone = []

    def too_late(response: HTTPResponse) -> None:
        shut_down(response)
        gone.append(response)
        raise error

    monkeypatch.setattr(HTTPResponse, "shutdown", too_late)
    monkeypatch.setattr(transfer, "_STALL", 0.2)
    monkeypatch.setattr(fetch, "PATIENCE", 1.0)
    url, _ = serve(says(LENGTH, body=CONTENT[:HALF], then=Visit.wait))
    with pytest.raises(UserError, match=r"fewer than|the connection broke"):
        fetch.fetch([Address(url, CHECKSUM)], "a remedy")
    assert gone


def test_a_stall_is_told_alike_where_the_socket_gives_up_first(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: object) -> bytes:
        raise ReadTimeoutError(None, None, "Read timed out.")  # type: ignore[arg-type]

    monkeypatch.setattr(HTTPResponse, "read", give_up)
    monkeypatch.setattr(transfer, "_BACKOFF", 0.0)
    url, _ = serve(gives())
    with pytest.raises(UserError, match=r"fewer than 65,536 bytes within 12 s \(attempt 4\)"):
        fetch.fetch([Address(url, CHECKSUM)], "a remedy")


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

    def get(_address: Address, _part: Path, progress: transfer._Progress) -> None:
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
        transfer.transfer(Address("http://host/a.zip", CHECKSUM), tmp_path / "a.zip.part", transfer.PATIENCE)
    assert clock.now - last_useful <= 60
    assert next(attempts) <= 10


def test_what_is_waited_for_is_said(
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(transfer, "_STALL", 0.05)
    url, _ = serve(Visit.wait)
    with pytest.raises(UserError):
        fetch.fetch([Address(url)], "a remedy")
    lines = capsys.readouterr().err.splitlines()
    server = url.split("/")[2]
    assert lines[0].startswith(f"landuse: asking {server} for tiles-")
    assert lines[1] == f"landuse: {server}: no answer within 0 s; attempt 2 of 10 follows in 0.0 s"
    assert len(lines) == 4


def test_a_password_in_the_address_is_not_shown() -> None:
    assert Address("https://me:secret@example.org:8443/a.zip").host == "example.org:8443"


def test_no_thread_reads_on_after_a_stalled_download(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_STALL", 0.1)
    url, _ = serve(KINDS["drips"][0])
    with pytest.raises(UserError):
        fetch.fetch([Address(url)], "a remedy")
    for thread in threading.enumerate():
        if thread.name == "download":
            thread.join(30)
            assert not thread.is_alive()
