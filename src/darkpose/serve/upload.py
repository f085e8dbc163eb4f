"""The images in the body of a request: in memory only, never on disk, and within the limits."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.exceptions import HTTPException

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


class _Form:
    """The files of multipart/form-data, parsed by python-multipart as its bytes come."""

    def __init__(self, content_type: str, most: int) -> None:
        _, options = parse_options_header(content_type)
        if b"boundary" not in options:
            raise HTTPException(400, "the multipart/form-data has no boundary")
        self.files: list[Upload] = []
        self._most, self._is_whole = most, False
        self._header, self._value, self._name, self._data = bytearray(), bytearray(), "", bytearray()
        callbacks = {name: getattr(self, name) for name in dir(self) if name.startswith("on_")}
        self._parser = MultipartParser(options[b"boundary"], cast(Any, callbacks))

    def write(self, chunk: bytes) -> None:
        """Take some bytes."""
        self._parser.write(chunk)

    def close(self) -> list[Upload]:
        """The files, after the last bytes."""
        self._parser.finalize()
        if not self._is_whole or not self.files:
            raise HTTPException(400, "the multipart/form-data has no file, or no end")
        return self.files

    def on_part_begin(self) -> None:
        """A part begins."""
        self._name, self._data = "", bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        """Some of the name of a header of the part."""
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        """Some of the value of a header of the part."""
        self._value += data[start:end]

    def on_header_end(self) -> None:
        """A header is whole: a file has a name, a field has not."""
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            if b"filename" not in options:
                field = printable(options.get(b"name", b"").decode("utf-8", "replace"))[:60]
                raise HTTPException(422, f"expected files only, got the field {field!r}; options are in the query")
            self._name = options[b"filename"].decode("utf-8", "replace")
        self._header, self._value = bytearray(), bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        """Some of the file."""
        self._data += data[start:end]

    def on_part_end(self) -> None:
        """The file is whole."""
        if len(self.files) == self._most:
            raise HTTPException(400, f"a request may have {self._most} files, this one has more")
        self.files.append(Upload(self._name, bytes(self._data)))

    def on_end(self) -> None:
        """The form is whole."""
        self._is_whole = True


async def read_images(request: Request, body: HeldBody, settings: Settings) -> list[Upload]:
    """The images of a request: the files of multipart/form-data, else the body.

    Raises:
        HTTPException: the body is too large (413), or no multipart text with files (400).
        BusyError: the bodies of all requests are too large together.
        starlette.requests.ClientDisconnect: the client is gone.
    """
    stream, kind = _limited(request, body, settings.max_bytes), request.headers.get("content-type", "")
    if kind.split(";")[0].strip().lower() != "multipart/form-data":
        return [Upload("", b"".join([chunk async for chunk in stream]))]
    form = _Form(kind, settings.max_images)
    try:
        async for chunk in stream:
            form.write(chunk)
        return form.close()
    except FormParserError as error:
        raise HTTPException(400, "the body is no multipart/form-data") from error


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
