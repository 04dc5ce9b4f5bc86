"""The verified download, against a real HTTP server on this machine that misbehaves on order."""

import hashlib
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from landuse.core.errors import UserError
from landuse.data.sources import archive, fetch
from landuse.data.sources.fetch import Address

CONTENT = np.random.default_rng(0).bytes(700_000)
REMEDY = "look for it elsewhere"


@pytest.fixture(autouse=True)
def _content(server: Any) -> None:
    server.content = CONTENT


def sha256(content: bytes = CONTENT) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return buffer.getvalue()


def parts(folder: Path) -> list[Path]:
    return list(folder.glob("*.part"))


def get(address: Address) -> Path:
    return fetch.fetch([address], REMEDY)


def test_brings_the_file_once_and_needs_no_network_afterwards(server: Any, downloads: Path) -> None:
    address = server.address(sha256())
    path = get(address)
    assert path.read_bytes() == CONTENT
    assert path.parent == downloads
    assert path.name.startswith("tiles-")
    assert path.suffix == ".zip"
    assert not parts(downloads)
    assert get(address) == path
    assert len(server.asked) == 1


def test_two_servers_with_one_file_name_are_kept_apart(server: Any) -> None:
    here = get(server.address())
    server.content = b"another"
    other = get(Address(server.address().url + "&other"))
    assert (here.read_bytes(), other.read_bytes()) == (CONTENT, b"another")


def test_goes_on_where_the_connection_broke(server: Any) -> None:
    server.drop_at = [300_000, 500_000]
    assert get(server.address(sha256())).read_bytes() == CONTENT
    starts = [int(asked.removeprefix("bytes=").rstrip("-")) for asked in server.asked if asked]
    assert len(starts) == 2
    assert 200_000 < starts[0] <= 300_000 < starts[1] <= 500_000
    assert server.sent < 1.3 * len(CONTENT)  # not fetched anew each time


def test_takes_a_range_in_the_pieces_that_the_server_gives(server: Any) -> None:
    server.drop_at, server.longest = [300_000], 100_000
    assert get(server.address()).read_bytes() == CONTENT
    assert len(server.asked) >= 5


def test_goes_on_in_the_next_run_after_giving_up(server: Any, downloads: Path) -> None:
    server.drop_at = [300_000] * 10  # every further try brings nothing
    with pytest.raises(UserError, match=rf"the connection broke.*{REMEDY}"):
        get(server.address())
    assert parts(downloads)
    server.drop_at, server.asked = [], []
    assert get(server.address()).read_bytes() == CONTENT
    assert server.asked[0] is not None
    assert not parts(downloads)
    assert not list(downloads.glob("*.version"))


def test_starts_again_where_the_server_ignores_range(server: Any) -> None:
    server.ranges = False
    server.drop_at = [300_000]
    assert get(server.address(sha256())).read_bytes() == CONTENT
    assert server.asked[1] is not None


def test_starts_again_when_the_file_changed_meanwhile(server: Any) -> None:
    server.drop_at = [300_000] * 10
    with pytest.raises(UserError):
        get(server.address())
    server.drop_at = []
    server.content, server.etag = CONTENT[::-1], '"v2"'
    assert get(server.address()).read_bytes() == CONTENT[::-1]


def test_never_joins_parts_of_an_unnamed_version_without_checksum(server: Any) -> None:
    server.etag = None
    server.drop_at = [300_000]
    assert get(server.address()).read_bytes() == CONTENT
    assert server.asked == [None, None]


def test_joins_parts_of_an_unnamed_version_when_the_checksum_will_tell(server: Any) -> None:
    server.etag = None
    server.drop_at = [300_000]
    assert get(server.address(sha256())).read_bytes() == CONTENT
    assert server.asked[1] is not None


def test_a_part_that_is_whole_is_only_verified(server: Any, downloads: Path) -> None:
    downloads.mkdir(parents=True)
    address = server.address(sha256())
    (downloads / f"{address.name}.part").write_bytes(CONTENT)
    assert get(address).read_bytes() == CONTENT
    assert server.sent == 0


def test_a_part_longer_than_the_file_is_dropped(server: Any, downloads: Path) -> None:
    downloads.mkdir(parents=True)
    address = server.address(sha256())
    (downloads / f"{address.name}.part").write_bytes(CONTENT + b"more")
    assert get(address).read_bytes() == CONTENT


def test_wrong_bytes_are_refused_and_removed(server: Any, downloads: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(UserError, match=r"wrong content \(sha256 .*expected"):
        get(server.address(sha256()))
    assert {path.suffix for path in downloads.iterdir()} == {".lock"}
    server.content = CONTENT
    assert get(server.address(sha256())).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 403, 500])
def test_the_next_mirror_is_asked_when_one_fails(server: Any, status: int) -> None:
    server.statuses = [status] * (4 if status == 500 else 1)
    mirror = Address(server.address().url + "&mirror", sha256())
    assert fetch.fetch([server.address(sha256()), mirror], REMEDY).read_bytes() == CONTENT


def test_when_all_fail_one_line_names_each_with_its_reason(server: Any) -> None:
    server.statuses = [404]
    closed = Address("http://127.0.0.1:9/tiles.zip")
    with pytest.raises(UserError) as error:
        fetch.fetch([server.address(), closed], REMEDY)
    assert f"127.0.0.1:{server.server_port}: HTTP 404" in str(error.value)
    assert "127.0.0.1:9: no connection" in str(error.value)
    assert str(error.value).endswith(REMEDY)
    assert "\n" not in str(error.value)


def test_passing_troubles_are_tried_again(server: Any) -> None:
    server.statuses = [503, 429]
    assert get(server.address(sha256())).read_bytes() == CONTENT


def test_a_name_that_does_not_resolve_says_offline() -> None:
    with pytest.raises(UserError, match="offline"):
        get(Address("http://no-such-host.invalid/tiles.zip"))


def test_a_web_page_with_status_200_is_no_file(server: Any, downloads: Path) -> None:
    server.content, server.content_type = b"<html>maintenance</html>", "text/html; charset=utf-8"
    with pytest.raises(UserError, match="web page"):
        get(server.address())
    assert not parts(downloads)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (zipped(**{"Forest/a.jpg": b"x" * 5000})[:-40], "not a whole zip"),
        (b"<html>maintenance</html>", "not a whole zip"),  # sent as application/octet-stream
        (zipped(**{"../evil.jpg": b"x"}), r"unsafe zip: its entry '../evil.jpg'"),
        (zipped(**{"/etc/evil.jpg": b"x"}), "unsafe zip"),
        (zipped(**{"C:\\evil.jpg": b"x"}), "unsafe zip"),
        (zipped(**{"a\\..\\..\\evil.jpg": b"x"}), "unsafe zip"),
    ],
)
def test_what_is_no_sound_zip_is_refused_and_removed(server: Any, downloads: Path, content: bytes, reason: str) -> None:
    server.content = content
    with pytest.raises(UserError, match=reason):
        archive.open_url(server.address().url, lambda _: True)
    assert not parts(downloads)
    assert not list(downloads.glob("*.zip"))


def test_two_at_once_download_it_once(server: Any) -> None:
    server.delay = 0.3
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(get, [server.address(sha256())] * 2))
    assert paths[0] == paths[1]
    assert paths[0].read_bytes() == CONTENT
    assert len(server.asked) == 1
