"""MATLAB 5 files: arrays of numbers, and cells of text.

Not read by SciPy, which reads outside its memory in damaged files and follows any size that a file declares.

A file is a header of 128 bytes, then elements: a tag (type, number of bytes) and data, padded to 8 bytes; data of up to
4 bytes may be in the tag. A variable is an element of type `_MATRIX`, or one compressed by zlib. It holds elements:
flags with the class, dimensions, name, then numbers, characters or the matrices of cells.
"""

import math
import struct
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular
from darkpose.image.geometry import Floats

MAX_FILE, MAX_VARIABLE = 1 << 28, 1 << 26  # bytes; of a variable, decompressed
MAX_NUMBERS, MAX_CELLS = 1 << 23, 1 << 20  # of a variable; AFLW has 1,000,000 and 25,000
_HEAD = 1 << 12  # bytes of a compressed variable that contain its name
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CODES = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_SUFFIX = {"<": "-le", ">": "-be"}
_CELLS, _CHARACTERS, _NUMERIC = 1, 4, range(6, 16)  # classes
_COMPLEX = 8  # a flag
Order = Literal["<", ">"]


class _Matrix(NamedTuple):
    kind: int  # its class
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    content: memoryview
    order: Order


def read_mat5(path: Path, names: Collection[str]) -> dict[str, Floats | list[str]]:
    """The variables of these names, of those that the file has.

    Args:
        path: of the file.
        names: of arrays of numbers, and of cells that hold a line of text each; others are not decoded.

    Returns:
        Numbers as float64 in the shape of the file; texts in the order of the file, by columns.

    Raises:
        DarkposeError: the file cannot be read, is no MATLAB 5 file, is damaged, or has other or larger variables.
    """
    try:
        check_regular(path)
        if path.stat().st_size > MAX_FILE:
            raise DarkposeError(f"{path}: expected at most {MAX_FILE} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return dict(_variables(data, names))
    except DarkposeError as error:
        raise DarkposeError(f"{path}: not a MATLAB 5 file that can be used ({error})") from error


def _variables(data: bytes, names: Collection[str]) -> Iterator[tuple[str, Floats | list[str]]]:
    orders: dict[bytes, Order] = {b"IM": "<", b"MI": ">"}
    if data[126:128] not in orders:
        raise DarkposeError("it has another header")
    order, found, rest = orders[data[126:128]], set(), memoryview(data)[128:]
    while rest:
        kind, element, rest = _element(rest, order)
        name = _matrix(_body(kind, element, order, _HEAD), order).name
        if name not in names:
            continue
        if name in found:
            raise DarkposeError(f"two variables are called {name}")
        found.add(name)
        matrix = _matrix(_body(kind, element, order, MAX_VARIABLE, whole=True), order)
        yield name, _texts(matrix) if matrix.kind == _CELLS else _numbers(matrix)


def _element(data: memoryview, order: Order) -> tuple[int, memoryview, memoryview]:
    """Type and data of the first element, and what follows it."""
    if len(data) < 8:
        raise DarkposeError("it ends early")
    kind, size = struct.unpack_from(order + "II", data)
    small = kind >> 16
    start, size, end = (4, small, 8) if small else (8, size, 8 + size + (-size % 8 if kind != _COMPRESSED else 0))
    kind &= 0xFFFF
    if start + size > min(end, len(data)):
        raise DarkposeError("it ends early")
    return kind, data[start : start + size], data[end:]


def _body(kind: int, element: memoryview, order: Order, most: int, *, whole: bool = False) -> memoryview:
    """The elements in a variable: at most `most` bytes of a compressed one, or an error if `whole` and it has more."""
    if kind == _MATRIX:
        return element
    if kind != _COMPRESSED:
        raise DarkposeError(f"expected a variable, got an element of type {kind}")
    unpack = zlib.decompressobj()
    try:
        data = memoryview(unpack.decompress(element, most))
    except zlib.error as error:
        raise DarkposeError(f"a compressed variable is damaged: {error}") from error
    if whole and not unpack.eof:
        raise DarkposeError(f"a variable has more than {most} bytes, or ends early")
    if len(data) < 8 or struct.unpack_from(order + "I", data)[0] != _MATRIX:
        raise DarkposeError("a compressed element is no variable")
    return _element(data, order)[1] if whole else data[8:]


def _matrix(body: memoryview, order: Order) -> _Matrix:
    """The head of a variable, and its content."""
    _, flags, rest = _element(body, order)
    _, sides, rest = _element(rest, order)
    _, name, content = _element(rest, order)
    if len(flags) != 8 or len(sides) % 4 or not 8 <= len(sides) <= 32:
        raise DarkposeError("a variable has a damaged head")
    (flag,), shape = struct.unpack_from(order + "I", flags), struct.unpack(f"{order}{len(sides) // 4}i", sides)
    if min(shape) < 0:
        raise DarkposeError(f"a variable has the shape {shape}")
    return _Matrix(flag & 0xFF, bool(flag >> 8 & _COMPLEX), shape, bytes(name).decode("latin-1"), content, order)


def _numbers(matrix: _Matrix) -> Floats:
    if matrix.kind not in _NUMERIC or matrix.is_complex:
        raise DarkposeError(f"expected {matrix.name} to hold real numbers or cells of text")
    kind, data, _ = _element(matrix.content, matrix.order)
    count = math.prod(matrix.shape)
    if kind not in _NUMBERS or count > MAX_NUMBERS or len(data) != count * np.dtype(_NUMBERS[kind]).itemsize:
        raise DarkposeError(f"expected {matrix.name} to hold {matrix.shape} numbers, at most {MAX_NUMBERS} in all")
    values = np.frombuffer(data, matrix.order + _NUMBERS[kind])
    return values.reshape(matrix.shape, order="F").astype(np.float64)


def _texts(matrix: _Matrix) -> list[str]:
    if math.prod(matrix.shape) > MAX_CELLS:
        raise DarkposeError(f"expected {matrix.name} to have at most {MAX_CELLS} cells, got {matrix.shape}")
    texts, rest = [], matrix.content
    for _ in range(math.prod(matrix.shape)):
        kind, body, rest = _element(rest, matrix.order)
        texts.append(_text(matrix.name, kind, body, matrix.order))
    return texts


def _text(name: str, kind: int, body: memoryview, order: Order) -> str:
    """The text of a cell."""
    cell = _matrix(body, order) if kind == _MATRIX else None
    if cell is None or cell.kind != _CHARACTERS or len(cell.shape) != 2 or cell.shape[0] > 1:
        raise DarkposeError(f"expected every cell of {name} to hold a line of text")
    kind, data, _ = _element(cell.content, order)
    if kind not in _CODES:
        raise DarkposeError(f"the text in a cell of {name} is of type {kind}")
    try:
        return bytes(data).decode(_CODES[kind] + (_SUFFIX[order] if kind in (4, 17, 18) else ""))
    except UnicodeDecodeError as error:
        raise DarkposeError(f"the text in a cell of {name} cannot be read ({error.reason})") from error
