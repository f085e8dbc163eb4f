"""The images in the body of a request: in memory only, never on disk, and within the limits."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from darkpose.errors import printable
from darkpose.serve.settings import BusyError, Settings


class Upload(NamedTuple):
    """An image file: its name, which may be empty, and its bytes."""

    name: str
    data: bytes


@dataclass
class Held:
    """Bytes of the bodies of all requests; used by one thread."""

    most: int
    count: int = field(default=0, init=False)

    @contextmanager
    def body(self) -> Iterator["HeldBody"]:
        """The body of one request; it is forgotten at the end."""
        body = HeldBody(self)
        try:
            yield body
        finally:
            self.count -= body.count


@dataclass
class HeldBody:
    """Bytes of the body of a request."""

    held: Held
    count: int = 0

    def add(self, count: int) -> None:
        """Count bytes that have come.

        Raises:
            BusyError: they are too many, together with those of other requests.
        """
        self.count += count
        self.held.count += count
        if self.held.count > self.held.most:
            raise BusyError


class _InMemory(MultiPartParser):
    """Starlette's parser; it writes no file to disk."""

    def __init__(self, request: Request, stream: AsyncGenerator[bytes, None], settings: Settings) -> None:
        self.spool_max_size = 2 * settings.max_bytes  # never reached
        super().__init__(request.headers, stream, max_files=settings.max_images, max_fields=16)


async def read_images(request: Request, body: HeldBody, settings: Settings) -> list[Upload]:
    """The images of a request: the files of multipart/form-data, else the body.

    Raises:
        HTTPException: the body is too large (413), or no multipart text with files (400).
        BusyError: the bodies of all requests are too large together.
        starlette.requests.ClientDisconnect: the client is gone.
    """
    stream = _limited(request, body, settings.max_bytes)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "multipart/form-data":
        return [Upload("", b"".join([chunk async for chunk in stream]))]
    try:
        form = await _InMemory(request, stream, settings).parse()
    except MultiPartException as error:
        raise HTTPException(400, f"the body is no multipart/form-data: {error.message}") from error
    try:
        return [await _upload(name, value) for name, value in _filled(form).multi_items()]
    finally:
        await form.close()


async def _limited(request: Request, body: HeldBody, most: int) -> AsyncGenerator[bytes, None]:
    """The body of a request in chunks, as long as they are not too many."""
    length = request.headers.get("content-length", "")
    told, message = int(length) if length.isdecimal() else 0, f"the body of a request may have {most} bytes"
    if told > most:
        raise HTTPException(413, f"{message}, this one has {told}")
    async for chunk in request.stream():
        body.add(len(chunk))
        if body.count > most:
            raise HTTPException(413, f"{message}, this one has more")
        yield chunk


def _filled(form: FormData) -> FormData:
    if not form:
        raise HTTPException(400, "the multipart/form-data has no file, or no end")
    return form


async def _upload(name: str, value: UploadFile | str) -> Upload:
    if isinstance(value, str):
        message = f"expected files only, got the field {printable(name)[:60]!r}; options are in the query"
        raise HTTPException(422, message)
    return Upload(value.filename or "", await value.read())
