"""Downloads that are resumed, cached and checked by their hash."""

import hashlib
import os
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib import request
from urllib.error import HTTPError, URLError

from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.files.lock import file_lock

TIMEOUT = 30  # seconds without data
CHUNK = 1 << 18  # bytes
HANDLERS = (
    *(request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, request.HTTPRedirectHandler),
    *(request.HTTPErrorProcessor, request.HTTPDefaultErrorHandler, request.UnknownHandler),
)


def cache_folder() -> Path:
    """The folder for downloads: $DARKPOSE_CACHE, else $XDG_CACHE_HOME/darkpose, else ~/.cache/darkpose.

    Raises:
        DarkposeError: neither variable is set and there is no home folder.
    """
    if own := os.environ.get("DARKPOSE_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(shared) if shared else Path.home() / ".cache") / "darkpose"
    except RuntimeError as error:
        raise DarkposeError("there is no home folder for downloads; set DARKPOSE_CACHE to a folder") from error


def fetch(url: str, target: Path, *, sha256_prefix: str, size: int | None = None) -> Path:
    """Download a file unless it exists; its hash is checked in both cases.

    An interrupted download is kept as `<target>.part` and resumed by the next call. Processes that need the same file
    wait for the first one, by a lock on `<target>.lock`.

    Args:
        url: http or https.
        target: path of the file; its folder is made.
        sha256_prefix: first hex digits of the SHA-256 of the file.
        size: in bytes, used if the server does not send it.

    Returns:
        The target.

    Raises:
        DarkposeError: there is no connection, the server refuses, the disk is full or the hash is wrong. The message
            says where to save the file by hand.
    """
    part = target.with_name(target.name + ".part")
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with file_lock(target.with_name(target.name + ".lock")):
                if not target.exists():
                    _receive(url, part, target.name, size)
                    _take(part, target, url, sha256_prefix)
        _check(target, sha256_prefix)
    except (OSError, HTTPException) as error:
        raise DarkposeError(
            f"{url} could not be downloaded: {_reason(error)}; run again to resume, or download it by other means and "
            f"save it as {target.absolute()}"
        ) from error
    return target


def _open(url: str, start: int) -> HTTPResponse:
    """Request the bytes from `start` on; only HTTP and HTTPS are supported."""
    opener = request.OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    headers = {"User-Agent": "darkpose", **({"Range": f"bytes={start}-"} if start else {})}
    return cast(HTTPResponse, opener.open(request.Request(url, headers=headers), timeout=TIMEOUT))


def _receive(url: str, part: Path, name: str, size: int | None) -> None:
    """Download into `part`, appending to it if the server supports ranges; a complete part stays unchanged."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, have)
    except HTTPError as error:
        error.close()
        if have and error.code == 416:  # the part may be complete: its hash is checked next
            return
        raise
    with response:
        have = have if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else size
        with (
            part.open("ab" if have else "wb") as file,
            tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=None) as bar,
        ):
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if total and part.stat().st_size < total:
        raise ConnectionError(f"the connection broke off after {part.stat().st_size} of {total} bytes")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _take(part: Path, target: Path, url: str, sha256_prefix: str) -> None:
    """Rename the part to the target if its hash is right, else remove it."""
    digest = _digest(part)
    if not digest.startswith(sha256_prefix):
        part.unlink()
        raise DarkposeError(
            f"{url}: expected a file whose sha256 begins with {sha256_prefix}, got {digest}; the download was removed; "
            f"run again, or download the file by other means and save it as {target.absolute()}"
        )
    part.replace(target)


def _check(target: Path, sha256_prefix: str) -> None:
    digest = _digest(target)
    if not digest.startswith(sha256_prefix):
        raise DarkposeError(
            f"{target.absolute()}: expected a file whose sha256 begins with {sha256_prefix}, got {digest}; "
            "remove it to download it again"
        )


def _reason(error: Exception) -> str:
    if isinstance(error, URLError) and not isinstance(error, HTTPError):
        return str(error.reason)
    return str(error) or type(error).__name__
