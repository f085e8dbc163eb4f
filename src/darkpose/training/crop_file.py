"""A file of crops, as JPEGs or as pixels.

It has a header (format, digest of its sources, number and side of the crops), an index (place, length and checksum of
each crop) and the crops. JPEGs are small but must be decoded. Pixels take about thirteen times the space; they are
mapped into memory, shared by all processes of a machine, and need no decoding.
"""

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.image.pixels import Pixels, from_jpeg

FORMAT = 1

_HEADER = struct.Struct("<8sI32sQII")  # magic, format, digest, crops, their side, checksum of the index
_MAGIC = b"dpcrops\n"
_ENTRY = np.dtype([("start", "<u8"), ("length", "<u4"), ("crc", "<u4")])  # length 0: the image cannot be read


class _Header(NamedTuple):
    magic: bytes
    format: int
    digest: bytes
    crops: int
    side: int
    crc: int


class JpegFile:
    """Crops as JPEGs. Every process opens the file itself.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def crop(self, start: int, length: int, crc: int) -> Pixels | None:
        """Read the crop (S, S, 3) uint8 RGB at a place of the index; None if it is damaged.

        Raises:
            DarkposeError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                data = file.read(length)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        return from_jpeg(data) if zlib.crc32(data) == crc else None


class PixelFile:
    """Crops as pixels. Every process maps the file itself, and checks each crop at its first use.

    Args:
        path: of the file.
        side: of the crops, S px.
    """

    def __init__(self, path: Path, side: int) -> None:
        self.path, self.side = path, side
        self._mapped: NDArray[np.uint8] | None = None
        self._checked: set[int] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return PixelFile, (self.path, self.side)  # no pixels; another process maps and checks itself

    def crop(self, start: int, length: int, crc: int) -> Pixels | None:
        """The crop (S, S, 3) uint8 RGB at a place of the index, in mapped memory; None if it is damaged.

        Raises:
            DarkposeError: the file cannot be read.
        """
        if self._mapped is None:
            try:
                self._mapped = np.asarray(np.memmap(self.path, np.uint8, mode="c"))  # copy on write
            except (OSError, ValueError) as error:
                raise _unreadable(self.path, error) from error
        data = self._mapped[start : start + length]
        if start not in self._checked:
            if zlib.crc32(data.data) != crc:
                return None
            self._checked.add(start)
        return data.reshape(self.side, self.side, 3)


def _unreadable(path: Path, error: Exception) -> DarkposeError:
    return DarkposeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")


def write_crops(path: Path, crops: Iterable[bytes], digest: bytes, count: int, side: int) -> None:
    """Write the file; header and index are written last, into the space left for them.

    Args:
        path: of the file.
        crops: bytes of each; empty if its image cannot be read.
        digest: of their sources.
        count: number of crops.
        side: of the crops, px.
    """
    index = np.zeros(count, _ENTRY)
    with path.open("wb") as file:
        file.seek(_HEADER.size + index.nbytes)
        for number, data in enumerate(crops):
            index[number] = file.tell(), len(data), zlib.crc32(data)
            file.write(data)
        file.seek(0)
        file.write(_HEADER.pack(*_Header(_MAGIC, FORMAT, digest, count, side, zlib.crc32(index.tobytes()))))
        file.write(index.tobytes())


def read_index(path: Path, digest: bytes, count: int, side: int) -> NDArray[Any] | None:
    """Places (count,) of the crops in a file; None if there is no complete file with this digest, count and side."""
    try:
        with path.open("rb") as file:
            head, entries = file.read(_HEADER.size), file.read(count * _ENTRY.itemsize)
            size = os.fstat(file.fileno()).st_size
    except OSError:
        return None
    if len(head) < _HEADER.size or _Header(*_HEADER.unpack(head)) != (
        *(_MAGIC, FORMAT, digest, count, side, zlib.crc32(entries)),
    ):
        return None
    index = np.frombuffer(entries, _ENTRY)
    return index if size == len(head) + len(entries) + index["length"].sum(dtype=np.int64) else None
