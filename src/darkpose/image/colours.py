"""Colours that OpenCV reads as others than those of the file: a file that it reads right instead, or a reason."""

import re
import struct

from darkpose.errors import DarkposeError
from darkpose.image.headers import TIFF, tiff_fields

_EXTRA_SAMPLES, _SAMPLE_FORMAT = 338, 339  # tags of TIFF
_PREMULTIPLIED, _NOT_PREMULTIPLIED = 1, 2
_SIGNED = 2
_BITFIELDS = 3  # of BMP: masks say which bits of a pixel are which colour
_BGR_MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
_COLOURS_OF_JP2 = re.compile(rb"colr\x01..(....)", re.DOTALL)
_READ_OF_JP2 = (16, 17)  # sRGB, grey


def with_readable_colours(data: bytes) -> bytes:
    """The file, changed if OpenCV would read its colours as others.

    OpenCV multiplies the colours of some TIFF files by their alpha. So the kind of alpha is changed to that of colours
    which are multiplied already.

    Raises:
        DarkposeError: OpenCV cannot read the colours right.
    """
    if data.startswith(TIFF):
        return _tiff(data)
    if data.startswith(b"BM"):
        _check_bmp(data)
    elif data[4:8] == b"jP  ":
        _check_jp2(data)
    return data


def _tiff(data: bytes) -> bytes:
    try:
        fields = tiff_fields(data)
    except struct.error:
        return data  # OpenCV refuses it
    if _SAMPLE_FORMAT in fields and fields[_SAMPLE_FORMAT].value == _SIGNED:
        raise DarkposeError(
            "a TIFF file of numbers below zero has no known white; convert it to 8 or 16 bits without sign"
        )
    if _EXTRA_SAMPLES not in fields or fields[_EXTRA_SAMPLES].value != _NOT_PREMULTIPLIED:
        return data
    _, place, size = fields[_EXTRA_SAMPLES]
    number = _PREMULTIPLIED.to_bytes(size, "little" if data.startswith(b"II") else "big")
    return data[:place] + number + data[place + size :]


def _check_bmp(data: bytes) -> None:
    """Refuse other masks than those of blue, green, red in the old headers: OpenCV ignores them there."""
    if len(data) < 66:
        return
    header, bits, kind = struct.unpack("<I10xHI", data[14:34])
    if header < 56 and (bits, kind) == (32, _BITFIELDS) and data[54:66] != _BGR_MASKS:
        raise DarkposeError(
            "a BMP file with colours in this order of bits is not read right by OpenCV; convert it to PNG"
        )


def _check_jp2(data: bytes) -> None:
    found = _COLOURS_OF_JP2.search(data[: data.find(b"jp2c")])
    if found is not None and int.from_bytes(found[1]) not in _READ_OF_JP2:
        raise DarkposeError(
            "a JPEG 2000 file with other colours than sRGB or grey is not read right; convert it to PNG"
        )
