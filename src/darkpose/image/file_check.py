"""Checks of image files before decoding: size, memory and check sums; and what OpenCV does not read in headers."""

import re
import zlib

from darkpose.errors import DarkposeError
from darkpose.image.headers import Header, read_header
from darkpose.image.jpeg import Jpeg, read_jpeg
from darkpose.image.opencv import MAX_PIXELS

MAX_MEMORY = 1 << 30  # bytes that decoding one image may take at its peak, besides the file
MAX_FILE = 1 << 30  # bytes

_SPACE = rb"(?:\s|#[^\n]*\n)+"  # comments count as space
_NETPBM = re.compile(rb"P[1-6]" + 2 * (_SPACE + rb"(\d{1,9})") + rb"(?:" + _SPACE + rb"(\d{1,9}))?\s")
_PAM = re.compile(rb"P7\s(?:.*\n)*?MAXVAL\s+(\d{1,9})\s")
_PAM_SIDES = tuple(re.compile(rb"^%b\s+(\d{1,9})\s" % side, re.MULTILINE) for side in (b"WIDTH", b"HEIGHT"))
_PIXELS_OF_PNG = (b"IHDR", b"PLTE", b"IDAT")


def check_image_file(data: bytes, most: int = MAX_PIXELS) -> Jpeg | None:
    """Check the bytes of an image file, which may have `most` pixels.

    Returns:
        The headers, of a JPEG file.

    Raises:
        DarkposeError: the file is empty, truncated, damaged, too large or of a format that is not read.
    """
    if not data:
        raise DarkposeError("the file is empty")
    if data[4:8] == b"ftyp":
        _refuse_heif(data)
    jpeg = None
    if data.startswith(b"\xff\xd8"):
        jpeg = read_jpeg(data)
        header = None if jpeg is None else Header(*jpeg.size, 7 if jpeg.is_plain else 4 + 4 * len(jpeg.sampling))
    else:
        header = _netpbm(data) or read_header(data)
    if header is None:
        raise DarkposeError("not an image, or damaged, or of a format that is not read")
    check_pixel_count(header.width, header.height, most)
    if header.width * header.height * header.memory > MAX_MEMORY:
        limit = MAX_MEMORY // header.memory
        raise DarkposeError(
            f"the image is {header.width} x {header.height}; the limit is {limit} pixels for this kind of file, "
            "scale it down"
        )
    if data.startswith(b"\x89PNG"):
        _check_png(data)
    return jpeg


def check_pixel_count(width: int, height: int, most: int = MAX_PIXELS) -> None:
    """Check that an image has at most `most` pixels.

    Raises:
        DarkposeError: it has more.
    """
    if width * height > most:
        raise DarkposeError(f"the image is {width} x {height}; the limit is {most} pixels, scale it down")


def _netpbm(data: bytes) -> Header | None:
    """The header of a PBM, PGM, PPM or PAM file."""
    if data.startswith(b"P7"):
        width, height = (each.search(data[:4096]) for each in _PAM_SIDES)
        return None if width is None or height is None else Header(int(width[1]), int(height[1]), 13)
    found = _NETPBM.match(data)
    return None if found is None else Header(int(found[1]), int(found[2]), 13)


def _check_png(data: bytes) -> None:
    """Check the parts that hold pixels by their check sums, which OpenCV leaves out in animations."""
    at = 8
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4]), data[at + 4 : at + 8]
        if kind == b"IEND":
            return
        end = at + 8 + length
        if kind in _PIXELS_OF_PNG and zlib.crc32(memoryview(data)[at + 4 : end]) != int.from_bytes(data[end : end + 4]):
            reason = "truncated: its end is missing" if end + 4 > len(data) else "damaged: a check sum is wrong"
            raise DarkposeError(f"the PNG file is {reason}")
        at = end + 4
    raise DarkposeError("the PNG file is truncated: its end is missing")


def white_level(data: bytes) -> int:
    """The number that is white in a PGM, PPM or PAM file, which OpenCV does not read; 255 for other files.

    Raises:
        DarkposeError: it is not from 1 to 65535.
    """
    found = None if data[:2] in (b"P1", b"P4") else _NETPBM.match(data) or _PAM.match(data[:4096])
    white = 255 if found is None else int(found[found.re.groups] or 255)
    if not 1 <= white <= 65535:
        raise DarkposeError(f"the header of the file says that white is {white}; expected 1 to 65535")
    if white == 1 and data.startswith(b"P7"):  # OpenCV takes it for bits
        raise DarkposeError("a PAM file of black and white cannot be read; convert it to PNG")
    return 255 if white < 256 and data[:2] in (b"P2", b"P3") else white  # OpenCV scales text of so few bits itself


def _refuse_heif(data: bytes) -> None:
    """Refuse AVIF and HEIC files, by the brands in their first box, the main one or any compatible one."""
    brands = data[8 : min(max(int.from_bytes(data[:4]), 16), 512)]
    if b"avif" in brands or b"avis" in brands:
        raise DarkposeError(
            "AVIF files are not supported, because OpenCV loses their orientation; convert the file to PNG or JPEG"
        )
    if any(brand in brands for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")):
        raise DarkposeError("HEIC files are not supported; convert the file to PNG or JPEG")
