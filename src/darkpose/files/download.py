"""Downloads: once, resumed if they break off, and never used with a wrong hash."""

import hashlib
import os
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib import request
from urllib.error import HTTPError, URLError

from tqdm import tqdm

from darkpose.errors import DarkposeError
from darkpose.files.lock import alone

TIMEOUT = 30  # seconds without a byte
CHUNK = 1 << 18  # bytes
HANDLERS = (
    *(request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, request.HTTPRedirectHandler),
    *(request.HTTPErrorProcessor, request.HTTPDefaultErrorHandler, request.UnknownHandler),
)


def cache_folder() -> Path:
    """Where downloads are kept: $DARKPOSE_CACHE, else $XDG_CACHE_HOME/darkpose, else ~/.cache/darkpose.

    Raises:
        DarkposeError: none is set and there is no home.
    """
    if own := os.environ.get("DARKPOSE_CACHE"):
        return Path(own)
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(shared) if shared else Path.home() / ".cache") / "darkpose"
    except RuntimeError as error:
        raise DarkposeError("there is no home folder to keep downloads in; name one as DARKPOSE_CACHE") from error


def fetch(url: str, target: Path, *, sha256_prefix: str, size: int | None = None) -> Path:
    """Download a file unless it is there; either way its hash is checked.

    An interrupted download stays beside the target as `<target>.part` and goes on there next time. Processes that want
    the same file wait for the first, by a lock on `<target>.lock`.

    Args:
        url: http or https.
        target: where to put it; its folder is made.
        sha256_prefix: hex digits with which the file's SHA-256 must begin.
        size: bytes to expect if the server does not say.

    Returns:
        The target.

    Raises:
        DarkposeError: there is no connection, the server refuses, the disk is full or the hash is wrong; the message
            says where to put the file by hand.
    """
    part = target.with_name(target.name + ".part")
    try:
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            with alone(target.with_name(target.name + ".lock")):
                if not target.exists():
                    _receive(url, part, target.name, size)
                    _take(part, target, url, sha256_prefix)
        _check(target, sha256_prefix)
    except (OSError, HTTPException) as error:
        raise DarkposeError(
            f"{url} could not be downloaded: {_reason(error)}; run again to go on, or get it in another way and put it "
            f"at {target.absolute()}"
        ) from error
    return target


def _open(url: str, start: int) -> HTTPResponse:
    """The answer to a request for the bytes from `start` on; no other protocol than HTTP is spoken."""
    opener = request.OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    headers = {"User-Agent": "darkpose", **({"Range": f"bytes={start}-"} if start else {})}
    return cast(HTTPResponse, opener.open(request.Request(url, headers=headers), timeout=TIMEOUT))


def _receive(url: str, part: Path, name: str, size: int | None) -> None:
    """Fill `part`, going on at its end if the server can; a part that is already whole stays as it is."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = _open(url, have)
    except HTTPError as error:
        error.close()
        if have and error.code == 416:  # nothing lies behind the part's end: its hash will tell
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
    """Rename the part to its target if the hash is right, else remove it."""
    digest = _digest(part)
    if not digest.startswith(sha256_prefix):
        part.unlink()
        raise DarkposeError(
            f"{url}: expected a file whose sha256 begins with {sha256_prefix}, got {digest}; the download was removed; "
            f"run again, or get the file in another way and put it at {target.absolute()}"
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
