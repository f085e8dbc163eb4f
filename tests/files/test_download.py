"""Downloads from a loopback server that can be told to misbehave."""

import errno
import hashlib
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.files import http
from darkpose.files.download import cache_folder, fetch

CONTENT = bytes(i * i % 251 for i in range(100_000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `CONTENT` under every path but `/none`, and `/moved` from elsewhere.

    Attributes:
        ranges: answer Range requests.
        lengths: send Content-Length.
        cut: close after so many bytes.
        wait: seconds before an answer.
        moved_to: where `/moved` redirects to.
        asked: the Range header (or "") of every request.
    """

    ranges, lengths, cut, wait, moved_to = True, True, len(CONTENT), 0.0, "file:///etc/hostname"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []

    def handle_error(self, *arguments: object) -> None:
        """Clients that hang up are part of the test."""

    def url(self, path: str = "/model.pth") -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range", "")
        self.server.asked.append(asked)
        time.sleep(self.server.wait)
        start = int(found[1]) if self.server.ranges and (found := re.fullmatch(r"bytes=(\d+)-", asked)) else 0
        if self.path == "/none":
            return self.send_error(404)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", self.server.moved_to)
            return self.end_headers()
        if start >= len(CONTENT):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        if self.server.lengths:
            self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start : self.server.cut])

    def log_message(self, *arguments: object) -> None:
        """Stay silent."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "model.pth"


def part_of(target: Path) -> Path:
    return target.with_name("model.pth.part")


def test_a_file_is_downloaded_whole(server: Server, target: Path) -> None:
    assert fetch(server.url(), target, sha256_prefix=SHA256) == target
    assert target.read_bytes() == CONTENT
    assert not part_of(target).exists()


def test_a_file_that_is_there_is_not_asked_for(server: Server, target: Path) -> None:
    for _ in range(2):
        fetch(server.url(), target, sha256_prefix=SHA256[:8])
    assert server.asked == [""]


def test_a_download_that_broke_off_goes_on_where_it_was(server: Server, target: Path) -> None:
    server.cut = 30_000
    with pytest.raises(DarkposeError, match="30000 of 100000 bytes; run again"):
        fetch(server.url(), target, sha256_prefix=SHA256)
    assert part_of(target).read_bytes() == CONTENT[:30_000]
    server.cut = len(CONTENT)
    fetch(server.url(), target, sha256_prefix=SHA256)
    assert server.asked == ["", "bytes=30000-"]
    assert target.read_bytes() == CONTENT


def test_a_server_without_ranges_makes_it_start_over(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT[:500])
    server.ranges = False
    fetch(server.url(), target, sha256_prefix=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_part_that_is_already_whole_is_taken(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(CONTENT)
    fetch(server.url(), target, sha256_prefix=SHA256)
    assert server.asked == ["bytes=100000-"]
    assert target.read_bytes() == CONTENT


def test_without_a_length_the_hash_finds_a_broken_download(server: Server, target: Path) -> None:
    server.lengths, server.cut = False, 99_999
    with pytest.raises(DarkposeError, match=f"{SHA256}, got"):
        fetch(server.url(), target, sha256_prefix=SHA256)
    assert not target.exists()


def test_a_wrong_hash_removes_the_download_and_names_both(server: Server, target: Path) -> None:
    with pytest.raises(DarkposeError, match=rf"00000000, got {SHA256}; .*{target}"):
        fetch(server.url(), target, sha256_prefix="00000000")
    assert not target.exists()
    assert not part_of(target).exists()


def test_a_stale_part_of_another_file_is_found_out_and_the_next_run_mends_it(server: Server, target: Path) -> None:
    target.parent.mkdir()
    part_of(target).write_bytes(b"?" * 100)
    with pytest.raises(DarkposeError, match="run again"):
        fetch(server.url(), target, sha256_prefix=SHA256)
    fetch(server.url(), target, sha256_prefix=SHA256)
    assert target.read_bytes() == CONTENT


def test_a_damaged_file_in_the_cache_is_found_out(server: Server, target: Path) -> None:
    target.parent.mkdir()
    target.write_bytes(CONTENT[:-1])
    with pytest.raises(DarkposeError, match=rf"{target}: .*{SHA256}, got .*; remove it"):
        fetch(server.url(), target, sha256_prefix=SHA256)
    assert server.asked == []


def test_a_file_the_server_lacks_is_told_with_the_way_out(server: Server, target: Path) -> None:
    with pytest.raises(DarkposeError, match=rf"{server.url('/none')} .* 404: Not Found; .*{target}$"):
        fetch(server.url("/none"), target, sha256_prefix=SHA256)


def test_without_a_connection_the_error_tells_where_to_put_the_file(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/model.pth"
        with pytest.raises(DarkposeError, match=rf"{url} .* refused; .*{target}$"):
            fetch(url, target, sha256_prefix=SHA256)


def test_a_server_that_hangs_is_given_up(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "TIMEOUT", 0.1)
    server.wait = 0.5
    with pytest.raises(DarkposeError, match="timed out"):
        fetch(server.url(), target, sha256_prefix=SHA256)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://127.0.0.1/a", "data:text/plain,a", "http://example.org/a"]
)
def test_nothing_but_http_is_spoken(url: str, target: Path) -> None:
    with pytest.raises(DarkposeError, match="expected https, got"):
        fetch(url, target, sha256_prefix="")


def test_a_server_cannot_send_us_to_a_local_file(server: Server, target: Path) -> None:
    with pytest.raises(DarkposeError, match="not allowed"):
        fetch(server.url("/moved"), target, sha256_prefix="")


def test_an_interrupted_download_keeps_its_part(server: Server, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(tqdm, "update", interrupted)
        patched.setattr(http, "CHUNK", 10_000)
        with pytest.raises(KeyboardInterrupt):
            fetch(server.url(), target, sha256_prefix=SHA256)
    kept = part_of(target).read_bytes()
    assert 0 < len(kept) <= 10_000
    assert CONTENT.startswith(kept)
    fetch(server.url(), target, sha256_prefix=SHA256)
    assert server.asked[1] == f"bytes={len(kept)}-"


def test_two_at_once_download_it_once(server: Server, target: Path) -> None:
    server.wait = 0.2
    wanted = {"sha256_prefix": SHA256}
    threads = [threading.Thread(target=fetch, args=(server.url(), target), kwargs=wanted) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert target.read_bytes() == CONTENT
    assert server.asked == [""]


def test_a_cache_that_cannot_be_made_is_told_with_the_variable(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DarkposeError, match=r"could not be downloaded: .*file.*; set DARKPOSE_CACHE to a folder"):
        fetch(server.url(), tmp_path / "file" / "model.pth", sha256_prefix=SHA256)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_cache_that_cannot_be_written_to_is_told_with_the_variable(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(target.parent))

    for name in ("darkpose.files.download.file_lock", "darkpose.files.http._append"):
        with monkeypatch.context() as patch:
            patch.setattr(name, refuse)
            with pytest.raises(DarkposeError, match=rf"{os.strerror(number)}: .*; set DARKPOSE_CACHE to a folder"):
                fetch(server.url(), target, sha256_prefix=SHA256)


def test_a_check_by_the_first_digits_of_a_hash_is_said_to_be_weak_once(
    server: Server, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetch(server.url(), target, sha256_prefix=SHA256[:8])
    assert capsys.readouterr().err.endswith(
        "checked by the only 8 hex digits of its SHA-256 that are published: a weak check\n"
    )
    fetch(server.url(), target, sha256_prefix=SHA256[:8])
    assert not capsys.readouterr().err


def test_nothing_is_printed_without_a_terminal(server: Server, target: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(server.url(), target, sha256_prefix=SHA256)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("own", "shared", "expected"),
    [
        ("/own", "/shared", "/own"),
        ("", "/shared", "/shared/darkpose"),
        (None, "/shared", "/shared/darkpose"),
        (None, "", "/home/.cache/darkpose"),
        (None, None, "/home/.cache/darkpose"),
    ],
)
def test_the_cache_folder_follows_the_environment(
    own: str | None, shared: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home")
    for name, value in (("DARKPOSE_CACHE", own), ("XDG_CACHE_HOME", shared)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_without_a_home_the_cache_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("DARKPOSE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(DarkposeError, match="DARKPOSE_CACHE"):
        cache_folder()


@pytest.mark.parametrize("place", ["http://example.org/a", "https://[::1/a", "http://\u00e9" + "x" * 70 + "/a"])
def test_a_redirect_to_elsewhere_than_https_or_to_a_malformed_address_is_one_error(
    server: Server, target: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "moved_to", place)
    with pytest.raises(DarkposeError, match="could not be downloaded"):
        fetch(server.url("/moved"), target, sha256_prefix="")


def test_a_file_that_is_too_large_or_comes_too_slowly_is_given_up(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "MAX_BYTES", len(CONTENT) - 1)
    for lengths in (True, False):
        server.lengths = lengths
        with pytest.raises(DarkposeError, match=f"expected at most {len(CONTENT) - 1} bytes"):
            fetch(server.url(), target, sha256_prefix="")
        target.with_name(f"{target.name}.part").unlink(missing_ok=True)
    monkeypatch.setattr(http, "MAX_BYTES", 2 * len(CONTENT))
    monkeypatch.setattr(http, "PATIENCE", 0.0)
    monkeypatch.setattr(http, "MIN_RATE", 10**15)
    with pytest.raises(DarkposeError, match="the server is too slow"):
        fetch(server.url(), target, sha256_prefix="")


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="needs root to give files to others")
def test_a_part_that_belongs_to_somebody_else_is_not_gone_on_with(server: Server, target: Path) -> None:
    target.parent.mkdir(parents=True)
    part = part_of(target)
    part.write_bytes(CONTENT[:500])
    os.chown(part, 65534, 65534)
    with part.open("rb+") as theirs:
        fetch(server.url(), target, sha256_prefix=SHA256)
        assert server.asked == [""]
        assert target.stat().st_uid == os.getuid()
        theirs.write(b"planted")
    assert target.read_bytes() == CONTENT


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="needs O_NOFOLLOW")
@pytest.mark.parametrize("ending", ["part", "lock"])
def test_a_link_in_the_place_of_a_part_or_lock_is_not_written_through(
    server: Server, target: Path, tmp_path: Path, ending: str
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("words")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.with_name(f"{target.name}.{ending}").symlink_to(precious)
    with pytest.raises(DarkposeError, match="could not be downloaded"):
        fetch(server.url(), target, sha256_prefix=SHA256)
    assert precious.read_text() == "words"
