"""What an image file says of itself before it is decoded: its size, and whether its end is there.

OpenCV decodes a truncated JPEG to a half-grey picture without a word, and allocates whatever size a header claims.
"""

from darkpose.errors import DarkposeError
from darkpose.image.opencv import MAX_PIXELS


def check_image_file(data: bytes) -> None:
    """Refuse image files that are empty, cut off or too large; formats other than JPEG and PNG are left to OpenCV.

    Raises:
        DarkposeError: saying which.
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
    elif data[4:12] in (b"ftypavif", b"ftypavis"):
        raise DarkposeError("AVIF files are not read, as their orientation would be lost; convert it to PNG or JPEG")
    if size is not None:
        check_pixel_count(*size)


def check_pixel_count(width: int, height: int) -> None:
    """Refuse pictures of more than `MAX_PIXELS`."""
    if width * height > MAX_PIXELS:
        raise DarkposeError(f"the image is {width} x {height}; the limit is {MAX_PIXELS} pixels, please scale it down")


def _check_jpeg(data: bytes) -> tuple[int, int] | None:
    """Walk the segments up to the compressed pixels; (width, height) from the frame header, if there is one."""
    position, size = 2, None
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4])
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = data[position + 5 : position + 7], data[position + 7 : position + 9]
            size = (int.from_bytes(width), int.from_bytes(height))
        position += 2 + length
        if marker == 0xDA:  # pixels follow; inside them 0xFF is always followed by 0 or a restart marker
            if b"\xff\xd9" not in data[position:]:
                break
            return size
    raise DarkposeError("the JPEG file is truncated: its end is missing")
