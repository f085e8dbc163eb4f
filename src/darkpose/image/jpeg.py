"""JPEG files: what their headers say, and whether all of their pixels are there.

libjpeg fills what is missing with grey and tells nobody but the terminal. So files are decoded in a way that shows it:

* One scan without restart markers, as most photographs have: the file ends after its compressed bytes, where the mark
  of the end would be. A decoder that needs more bytes then gives up instead of inventing them. This costs nothing.
* Several scans, or restart markers: no scan and no restart marker may be missing. If a part of the image is as grey as
  what libjpeg fills in, the file is decoded again with filler before every marker: a decoder that has all pixels skips
  it; another takes it for pixels, and the image differs.

Compressed bytes have no check sum: damage that leaves as many pixels as before is not seen, nor is damage to the later
scans of a progressive file, which makes a part of the image coarse or patchy and not grey.
"""

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.opencv import cv2

MAX_SCANS = 100  # libjpeg-turbo writes 10; every scan passes over all pixels
MAX_SCANNED = 1 << 32  # pixels times scans: about 10 s
CUT = "the JPEG file is truncated: its end is missing"
DAMAGED = "the JPEG file is damaged: pixels are missing"

_NO_CODE = b"\xff\x00" * 8  # bits that are no Huffman code; libjpeg reads up to 8 bytes ahead
_FILLER = bytes(random.Random(0).choices(range(1, 255), k=64))
_LAST = 16  # bytes that a file cannot lack and have all of its pixels
# Signs of zeros, text or another file in compressed bytes, which also flat images have.
_SPARSE = 4096  # bytes without any 0xFF, which is every 200th byte of photographs
_ZEROS = bytes(32)

Decode = Callable[[bytes], NDArray[Any] | None]


class Scan(NamedTuple):
    """One pass over the pixels.

    Attributes:
        components: ids.
        band: first and last coefficient, previous and new number of bits that are left out.
        start, end: of its compressed bytes.
        restarts: positions of the markers between them.
        interval: blocks between two of these; 0: none.
        gap: most bytes without any 0xFF.
    """

    components: bytes
    band: tuple[int, int, int, int]
    start: int
    end: int
    restarts: Sequence[int]
    interval: int
    gap: int


class Jpeg(NamedTuple):
    """What the headers of a JPEG file say.

    Attributes:
        kind: number of the frame header: 0xC0, 0xC1 Huffman; 0xC2 progressive; 0xC9, 0xCA arithmetic.
        size: (width, height) px.
        sampling: id of a component -> blocks of it in each group, (across, down).
        scans: in order.
    """

    kind: int
    size: tuple[int, int]
    sampling: dict[int, tuple[int, int]]
    scans: Sequence[Scan]

    @property
    def is_plain(self) -> bool:
        """Whether it has one scan without restart markers."""
        return self.kind in (0xC0, 0xC1) and len(self.scans) == 1 and not self.scans[0].restarts


def read_jpeg(data: bytes) -> Jpeg | None:
    """Read the headers and find the markers; None: there is no frame, so that it is no image.

    Raises:
        DarkposeError: the end or a whole part is missing, or there are too many scans.
    """
    kind, size, sampling, interval = 0, (0, 0), dict[int, tuple[int, int]](), 0
    scans: list[Scan] = []
    bytes_255, position = _bytes_255(data), 2
    marks = _marks(data, bytes_255)
    while (at := bisect_left(marks, position)) < len(marks):
        marker, position = data[marks[at] + 1], marks[at] + 2
        if marker == 0xD9:
            return _checked(data, Jpeg(kind, size, sampling, scans)) if kind else None
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # these have no content
            continue
        content = data[position + 2 : position + int.from_bytes(data[position : position + 2])]
        position += 2 + len(content)
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(content) >= 6:
            kind, size = marker, (int.from_bytes(content[3:5]), int.from_bytes(content[1:3]))
            parts = [content[at : at + 3] for at in range(6, len(content) - 2, 3)]
            sampling = {part[0]: (max(part[1] >> 4, 1), max(part[1] & 15, 1)) for part in parts}
        elif marker == 0xDD:
            interval = int.from_bytes(content[:2])
        elif marker == 0xDA and len(content) >= 4:
            scans.append(_scan(data, marks, bytes_255, position, content, interval))
            position = scans[-1].end
            if len(scans) > MAX_SCANS or len(scans) * size[0] * size[1] > MAX_SCANNED:
                raise DarkposeError(f"the JPEG file has {MAX_SCANS} scans or more, or too many for its size")
    raise DarkposeError(CUT)


def _bytes_255(data: bytes) -> NDArray[np.intp]:
    """Where the bytes 0xFF are, except at the end."""
    return np.flatnonzero(np.frombuffer(data, np.uint8)[:-1] == 0xFF)


def _marks(data: bytes, bytes_255: NDArray[np.intp]) -> list[int]:
    """Where the markers could be: 0xFF, and a byte that is neither 0, as in compressed bytes, nor 0xFF."""
    following = np.frombuffer(data, np.uint8)[bytes_255 + 1]
    return list(bytes_255[(following + np.uint8(1)) > 1].tolist())


def _scan(
    data: bytes, marks: Sequence[int], bytes_255: NDArray[np.intp], start: int, header: bytes, interval: int
) -> Scan:
    """The scan whose compressed bytes begin at `start`."""
    first = last = bisect_left(marks, start)
    while last < len(marks) and 0xD0 <= data[marks[last] + 1] <= 0xD7:
        last += 1
    restarts, end = list(marks[first:last]), marks[last] if last < len(marks) else len(data)
    if restarts and restarts[-1] + 2 == end:  # one at the end separates nothing
        restarts.pop()
    inside = bytes_255[bytes_255.searchsorted(start) :]
    gap = int((inside[1:] - inside[:-1]).max(initial=0))
    low, high, bits = header[-3:]
    return Scan(header[1:-3:2], (low, high, bits >> 4, bits & 15), start, end, restarts, interval, gap)


def _checked(data: bytes, jpeg: Jpeg) -> Jpeg:
    """The same, if no restart marker is missing, and no coefficient."""
    left_out = {each: bytearray(b"\1" * 64) for each in jpeg.sampling}  # bits of each coefficient, if any
    for scan in jpeg.scans:
        numbers = [data[place + 1] - 0xD0 for place in scan.restarts]
        if numbers != [number % 8 for number in range(_intervals(jpeg, scan) - 1)]:
            raise DarkposeError(f"{DAMAGED} between two restart markers")
        first, last, _, bits = scan.band if jpeg.kind in (0xC2, 0xCA) else (0, 63, 0, 0)
        for each in scan.components:
            if each in left_out:
                left_out[each][first : last + 1] = bytes([bits]) * (last + 1 - first)
    if any(map(any, left_out.values())):
        raise DarkposeError(f"{DAMAGED}: a scan is missing")
    return jpeg


def _intervals(jpeg: Jpeg, scan: Scan) -> int:
    """Parts of a scan that restart markers separate."""
    if not scan.interval:
        return 1
    across, down = (max(each[axis] for each in jpeg.sampling.values()) for axis in (0, 1))
    if len(scan.components) == 1:  # blocks that have pixels, instead of whole groups
        own = jpeg.sampling.get(scan.components[0], (1, 1))
        sides = [-(-size * mine // (most * 8)) for size, mine, most in zip(jpeg.size, own, (across, down), strict=True)]
    else:
        sides = [-(-size // (8 * most)) for size, most in zip(jpeg.size, (across, down), strict=True)]
    return max(1, -(-sides[0] * sides[1] // scan.interval))


def decode_jpeg(data: bytes, jpeg: Jpeg, decode: Decode) -> NDArray[Any] | None:
    """Decode a JPEG file of which no pixels are missing; None: the decoder cannot read it.

    Args:
        data: the file.
        jpeg: its headers.
        decode: decodes a file; None where it cannot.

    Raises:
        DarkposeError: pixels are missing.
    """
    if jpeg.kind not in (0xC0, 0xC1, 0xC2) or not jpeg.scans:
        return decode(data)
    if not jpeg.is_plain:
        image = decode(data)
        if image is not None and (len(jpeg.sampling) == 4 or _has_grey(image)):
            filled = decode(_filled(data, jpeg))
            if filled is None or not np.array_equal(image, filled):
                raise DarkposeError(DAMAGED)
        return image
    pixels = data[: jpeg.scans[0].end].rstrip(b"\xff")
    image = decode(pixels + _NO_CODE)
    if image is None and decode(data) is not None:
        raise DarkposeError(DAMAGED)
    overwritten = jpeg.scans[0].gap > _SPARSE or _ZEROS in pixels  # or flat
    if overwritten and decode(pixels.rstrip(b"\0")[:-_LAST]) is not None:
        raise DarkposeError(f"{DAMAGED}, as many bytes are left over")
    return image


def _has_grey(image: NDArray[Any]) -> bool:
    """Whether some blocks of 8 px in a row have the grey that libjpeg fills in."""
    sides = image.shape[1] // 8, image.shape[0] // 8
    if min(sides) < 1:
        return False
    means = cv2.resize(image, sides, interpolation=cv2.INTER_AREA).astype(np.int16)
    grey = np.asarray((np.abs(means - 128) <= 1).all(axis=2))
    return any(bool((line[:-2] & line[1:-1] & line[2:]).any()) for line in (grey, grey.T))


def _filled(data: bytes, jpeg: Jpeg) -> bytes:
    """The file with filler before every marker that ends compressed bytes."""
    marks = [at for scan in jpeg.scans for at in (*scan.restarts, scan.end)]
    return _FILLER.join(data[start:end] for start, end in pairwise([0, *marks, len(data)]))
