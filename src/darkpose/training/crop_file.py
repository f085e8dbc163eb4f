"""A file of crops: a header (format, digest of what it was made of, number and side of the crops), an index (place,
length and checksum of each crop) and the crops, as JPEGs or as pixels.

JPEGs are small, and decoded each time; pixels take some thirteen times the space, are mapped into memory, shared by all
processes of a machine, and need no decoding.
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
_ENTRY = np.dtype([("start", "<u8"), ("length", "<u4"), ("crc", "<u4")])  # no length: the image cannot be read


class _Header(NamedTuple):
    magic: bytes
    format: int
    digest: bytes
    crops: int
    side: int
    crc: int


class JpegFile:
    """Crops as JPEGs. Every process opens the file for itself.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def crop(self, start: int, length: int, crc: int) -> Pixels | None:
        """The crop (S, S, 3) uint8 RGB in its place of the index; None: it is damaged.

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
    """Crops as pixels. Every process maps the file for itself, and checks a crop when it first asks for it.

    Args:
        path: of the file.
        side: of the crops, S px.
    """

    def __init__(self, path: Path, side: int) -> None:
        self.path, self.side = path, side
        self._mapped: NDArray[np.uint8] | None = None
        self._whole: set[int] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        return PixelFile, (self.path, self.side)  # no pixels, and another process checks for itself

    def crop(self, start: int, length: int, crc: int) -> Pixels | None:
        """The crop (S, S, 3) uint8 RGB in its place of the index, in the mapped memory; None: it is damaged.

        Raises:
            DarkposeError: the file cannot be read.
        """
        if self._mapped is None:
            try:
                self._mapped = np.asarray(np.memmap(self.path, np.uint8, mode="c"))  # copied where it is written to
            except (OSError, ValueError) as error:
                raise _unreadable(self.path, error) from error
        data = self._mapped[start : start + length]
        if start not in self._whole:
            if zlib.crc32(data.data) != crc:
                return None
            self._whole.add(start)
        return data.reshape(self.side, self.side, 3)


def _unreadable(path: Path, error: Exception) -> DarkposeError:
    return DarkposeError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}")


def write_crops(path: Path, crops: Iterable[bytes], digest: bytes, count: int, side: int) -> None:
    """Write the file; the index is written last, over the place that was left for it.

    Args:
        path: of the file.
        crops: each as it is kept; empty where the image cannot be read.
        digest: of what they are made of.
        count: of the crops.
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
    """(count,) places of the crops in a file that is whole and what is asked for; None where there is no such file."""
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
