"""Checks of image files before decoding: size, and truncation; and what OpenCV does not read in their headers.

OpenCV decodes a truncated JPEG file to a half-grey image without an error, and allocates any size that a header gives.
"""

import re

from darkpose.errors import DarkposeError
from darkpose.image.opencv import MAX_PIXELS

_SPACE = rb"(?:\s|#[^\n]*\n)+"  # comments count as space
_NETPBM = re.compile(rb"P[2356]" + 3 * (_SPACE + rb"(\d{1,9})") + rb"\s")
_PAM = re.compile(rb"P7\s(?:.*\n)*?MAXVAL\s+(\d{1,9})\s")


def check_image_file(data: bytes) -> None:
    """Check the bytes of an image file; of formats other than JPEG and PNG, OpenCV checks more.

    Raises:
        DarkposeError: the file is empty, truncated, too large or AVIF.
    """
    if not data:
        raise DarkposeError("the file is empty")
    size = None
    if data.startswith(b"\xff\xd8"):
        size = _check_jpeg(data)
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        size = (int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
        if b"IEND" not in data[24:]:
            raise DarkposeError("the PNG file is truncated: its end is missing")
    elif data[4:8] == b"ftyp":
        _refuse_heif(data)
    if size is not None:
        check_pixel_count(*size)


def check_pixel_count(width: int, height: int) -> None:
    """Check that an image has at most `MAX_PIXELS`.

    Raises:
        DarkposeError: it has more.
    """
    if width * height > MAX_PIXELS:
        raise DarkposeError(f"the image is {width} x {height}; the limit is {MAX_PIXELS} pixels, scale it down")


def _check_jpeg(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the frame header, if there is one; the segments are read up to the compressed pixels."""
    position, size = 2, None
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = data[position + 5 : position + 7], data[position + 7 : position + 9]
            size = (int.from_bytes(width), int.from_bytes(height))
        position += 2 + length
        if marker == 0xDA:  # pixels follow, in which 0xFF is always followed by 0 or a restart marker
            if b"\xff\xd9" not in data[position:]:
                break
            return size
    raise DarkposeError("the JPEG file is truncated: its end is missing")


def white_level(data: bytes) -> int:
    """The number that is white in a PGM, PPM or PAM file, which OpenCV does not read; 255 for other files.

    Raises:
        DarkposeError: it is not from 1 to 65535.
    """
    found = _NETPBM.match(data) or _PAM.match(data[:4096])
    white = 255 if found is None else int(found[found.re.groups])
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
