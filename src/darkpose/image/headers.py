"""The sizes that the headers of image files give, and the memory that OpenCV takes to decode each format."""

import struct
from typing import NamedTuple

_JP2 = b"\x00\x00\x00\x0cjP  "
_CODESTREAM = b"\xff\x4f\xff\x51"
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class Header(NamedTuple):
    """What a header says.

    Attributes:
        width, height: px; for a tiled format those of a tile, if that is larger.
        memory: bytes that decoding takes at its peak, per pixel (measured, rounded up).
    """

    width: int
    height: int
    memory: int


def read_header(data: bytes) -> Header | None:
    """The header of a file of any format except JPEG and Netpbm; None: another format, or too short."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            is_animated = b"acTL" in data
            width, height = struct.unpack(">II", data[16:24])
            return Header(width, height, 13 if is_animated else 7)
        if data.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack("<HH", data[6:10])
            return Header(width, height, 9)
        if data.startswith(b"BM"):
            return _bmp(data)
        if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(TIFF):
            return _tiff(data)
        if data.startswith(_CODESTREAM) or data.startswith(_JP2):
            return _jpeg_2000(data)
    except (struct.error, IndexError):
        pass
    return None


def _bmp(data: bytes) -> Header:
    if data[14:18] == b"\x0c\0\0\0":
        width, height = struct.unpack("<HH", data[18:22])
        return Header(width, height, 7)
    width, height = struct.unpack("<ii", data[18:26])
    return Header(abs(width), abs(height), 7)


def _webp(data: bytes) -> Header | None:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return Header(width, height, 12)
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return Header((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, 12)
    if kind == b"VP8 ":
        width, height = struct.unpack("<HH", data[26:30])
        return Header(width & 0x3FFF, height & 0x3FFF, 8)
    return None


def _tiff(data: bytes) -> Header:
    """Of the first page, the only one that is read."""
    fields = tiff_fields(data)
    width, height, across, down = (fields[tag].value if tag in fields else 0 for tag in (256, 257, 322, 323))
    if across * down > width * height:
        width, height = across, down
    return Header(width, height, 13)


class Field(NamedTuple):
    """The first number of a field of a TIFF file, and where its bytes are."""

    value: int
    place: int
    size: int


def tiff_fields(data: bytes) -> dict[int, Field]:
    """The fields of the first page of a TIFF file that hold whole numbers, by their tags.

    Raises:
        struct.error: the file ends before them.
    """
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    start += 8 if big else 2
    fields: dict[int, Field] = {}
    for number in range(min(count, 4096)):
        at = start + number * (20 if big else 12)
        tag, kind, length = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, at)
        form, place = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(kind), at + (12 if big else 8)
        if form and length * struct.calcsize(form) > (8 if big else 4):  # the numbers are elsewhere
            (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, place)
        if form and place + struct.calcsize(form) <= len(data):
            (value,) = struct.unpack_from(order + form, data, place)
            fields[tag] = Field(value, place, struct.calcsize(form))
    return fields


def _jpeg_2000(data: bytes) -> Header | None:
    at = 0
    while not data.startswith(_CODESTREAM, at):  # in a box behind others
        length, kind = struct.unpack_from(">I4s", data, at)
        header = 8
        if length == 1:
            (length,), header = struct.unpack_from(">Q", data, at + 8), 16
        if kind == b"jp2c":
            length = header
        if length < header:
            return None
        at += length
    right, below, left, above = struct.unpack_from(">IIII", data, at + 8)
    (components,) = struct.unpack_from(">H", data, at + 40)
    return Header(max(right - left, 0), max(below - above, 0), 4 * components + 4)
