"""HTTP requests for files, resumed where an earlier one stopped."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, cast
from urllib import request
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from tqdm import tqdm

from darkpose.files.paths import no_link

TIMEOUT = 30  # seconds without data
CHUNK = 1 << 18  # bytes
MAX_BYTES = 1 << 30  # of a file
MIN_RATE, PATIENCE = 1000, 60.0  # bytes per second, on average, after so many seconds
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SafeRedirects(request.HTTPRedirectHandler):
    """Follows redirects to https, and from this machine to this machine."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        """The request that follows a redirect."""
        check_protocol(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


HANDLERS = (
    *(request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, SafeRedirects),
    *(request.HTTPErrorProcessor, request.HTTPDefaultErrorHandler, request.UnknownHandler),
)


def check_protocol(url: str) -> None:
    """Refuse all but https, and http from this machine.

    Raises:
        ConnectionError: it is another protocol.
    """
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ConnectionError(f"expected https, got {url[:200]}")


def receive(url: str, part: Path, name: str) -> None:
    """Download into `part`, appending to it if the server supports ranges; a complete part stays unchanged.

    Args:
        url: https, or http from this machine; other protocols are refused.
        part: path of the incomplete file, or of none.
        name: shown next to the progress bar.

    Raises:
        OSError: there is no connection, it ends early, the server refuses, or the disk is full.
    """
    if hasattr(os, "getuid") and part.exists() and part.lstat().st_uid != os.getuid():
        part.unlink()  # whoever it belongs to could change the file after its hash was checked
    have = part.stat().st_size if part.exists() else 0
    with _plain_errors():
        check_protocol(url)
        try:
            response = _request(url, have)
        except HTTPError as error:
            error.close()
            if have and error.code == 416:  # the part may be complete: its hash is checked next
                return
            raise
        with response:
            _append(response, part, have if response.status == 206 else 0, name)


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Raise every error of `urllib` as an OSError whose text is the reason alone."""
    try:
        yield
    except HTTPError:
        raise
    except URLError as error:
        raise ConnectionError(str(error.reason)) from error
    except (HTTPException, ValueError) as error:  # ValueError: a malformed address or length
        raise ConnectionError(str(error) or type(error).__name__) from error


def _request(url: str, start: int) -> HTTPResponse:
    """Request the bytes from `start` on."""
    opener = request.OpenerDirector()
    for handler in HANDLERS:
        opener.add_handler(handler())
    headers = {"User-Agent": "darkpose", **({"Range": f"bytes={start}-"} if start else {})}
    return cast(HTTPResponse, opener.open(request.Request(url, headers=headers), timeout=TIMEOUT))


def _append(response: HTTPResponse, part: Path, start: int, name: str) -> None:
    """Write the response into `part` from byte `start` on."""
    length, began = response.headers.get("Content-Length", ""), time.monotonic()
    total = start + int(length) if length.isdecimal() else None
    if (total or 0) > MAX_BYTES:
        raise ConnectionError(f"expected at most {MAX_BYTES} bytes, the server has {total}")
    with (
        open(part, "ab" if start else "wb", opener=no_link) as file,
        tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=None) as bar,
    ):
        while chunk := response.read1(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
            seconds, received = time.monotonic() - began, file.tell()
            if received > MAX_BYTES:
                raise ConnectionError(f"expected at most {MAX_BYTES} bytes, the server sends more")
            if seconds > PATIENCE and received - start < MIN_RATE * seconds:
                raise ConnectionError(f"the server is too slow: {received - start} bytes in {seconds:.0f} s")
    if total and part.stat().st_size < total:
        raise ConnectionError(f"the connection broke off after {part.stat().st_size} of {total} bytes")
