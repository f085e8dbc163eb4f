"""HTTP requests for files, resumed where an earlier one stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import cast
from urllib import request
from urllib.error import HTTPError, URLError

from tqdm import tqdm

TIMEOUT = 30  # seconds without data
CHUNK = 1 << 18  # bytes
HANDLERS = (
    *(request.ProxyHandler, request.HTTPHandler, request.HTTPSHandler, request.HTTPRedirectHandler),
    *(request.HTTPErrorProcessor, request.HTTPDefaultErrorHandler, request.UnknownHandler),
)


def receive(url: str, part: Path, name: str) -> None:
    """Download into `part`, appending to it if the server supports ranges; a complete part stays unchanged.

    Args:
        url: http or https; other protocols are refused.
        part: path of the incomplete file, or of none.
        name: shown next to the progress bar.

    Raises:
        OSError: there is no connection, it ends early, the server refuses, or the disk is full.
    """
    have = part.stat().st_size if part.exists() else 0
    with _plain_errors():
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
    except HTTPException as error:
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
    length = response.headers.get("Content-Length")
    total = start + int(length) if length else None
    with (
        part.open("ab" if start else "wb") as file,
        tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=None) as bar,
    ):
        while chunk := response.read(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
    if total and part.stat().st_size < total:
        raise ConnectionError(f"the connection broke off after {part.stat().st_size} of {total} bytes")
