"""MATLAB 5 files: what SciPy writes is read, and damaged or too large files are one sentence."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets import mat5
from darkpose.datasets.mat5 import read_mat5
from darkpose.errors import DarkposeError

scipy_io = pytest.importorskip("scipy.io")


def written(path: Path, **arrays: Any) -> Path:
    scipy_io.savemat(path / "a.mat", arrays, do_compression=arrays.pop("compressed", False))
    return path / "a.mat"


def cells(*texts: str) -> np.ndarray:
    found = np.empty((len(texts), 1), object)
    found[:, 0] = texts
    return found


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "u1", "i2", "u2", "i4", "i8", ">f8"])
def test_numbers_of_every_type_are_read(tmp_path: Path, kind: str, compressed: bool) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    file = written(tmp_path, x=values, other=cells("a"), empty=np.zeros((0, 3)), compressed=compressed)
    found = read_mat5(file, ("x", "empty", "none"))
    assert set(found) == {"x", "empty"}
    np.testing.assert_array_equal(found["x"], values)
    assert isinstance(found["empty"], np.ndarray)
    assert found["empty"].shape == (0, 3)


@pytest.mark.parametrize("compressed", [False, True])
def test_texts_are_read(tmp_path: Path, compressed: bool) -> None:
    texts = ["0/a.jpg", "2/a longer name.jpg", "3/\u00e4\u4e2d.jpg", ""]
    assert read_mat5(written(tmp_path, names=cells(*texts), compressed=compressed), ("names",)) == {"names": texts}


def test_numbers_in_the_other_byte_order_are_read(tmp_path: Path) -> None:
    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + b"\0" * (-len(data) % 8)

    head = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 1, 2)) + element(1, b"x")
    body = head + element(9, struct.pack(">dd", 1.5, -2))
    (tmp_path / "a.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + element(14, body))
    np.testing.assert_array_equal(read_mat5(tmp_path / "a.mat", ("x",))["x"], [[1.5, -2]])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.ones(2) * 1j, "expected x to hold real numbers"),
        ({"a": 1}, "expected x to hold real numbers"),
        (np.array([[np.ones(2)], [None]], object)[:1], "a line of text"),
    ],
)
def test_variables_of_other_kinds_are_refused(tmp_path: Path, value: Any, message: str) -> None:
    with pytest.raises(DarkposeError, match=rf"a\.mat: .*{message}"):
        read_mat5(written(tmp_path, x=value), ("x",))


def test_a_variable_that_grows_beyond_the_limit_is_refused_before_it_is_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mat5, "MAX_VARIABLE", 1 << 16)
    file = written(tmp_path, x=np.zeros(1 << 20), compressed=True)
    assert file.stat().st_size < 1 << 16
    with pytest.raises(DarkposeError, match="more than 65536 bytes"):
        read_mat5(file, ("x",))
    assert read_mat5(file, ("y",)) == {}


def test_declared_sizes_are_those_of_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(written(tmp_path, x=np.ones((3, 5))).read_bytes())
    data[data.index(struct.pack("<ii", 3, 5))] = 7
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(DarkposeError, match=r"x to hold \(7, 5\) numbers"):
        read_mat5(tmp_path / "a.mat", ("x",))
    monkeypatch.setattr(mat5, "MAX_CELLS", 3)
    with pytest.raises(DarkposeError, match="at most 3 cells"):
        read_mat5(written(tmp_path, x=cells("a", "b", "c", "d")), ("x",))


def test_a_variable_is_there_once(tmp_path: Path) -> None:
    file = written(tmp_path, x=np.ones(3))
    file.write_bytes(file.read_bytes() + file.read_bytes()[128:])
    with pytest.raises(DarkposeError, match="two variables are called x"):
        read_mat5(file, ("x",))


def test_a_checksum_of_a_compressed_variable_is_compared(tmp_path: Path) -> None:
    packed = bytearray(zlib.compress(struct.pack("<II", 14, 0)))
    packed[-1] ^= 1
    data = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(data)
    with pytest.raises(DarkposeError, match="a compressed variable is damaged"):
        read_mat5(tmp_path / "a.mat", ("x",))


def test_another_file_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"words", b"\x89HDF\r\n\x1a\n" + bytes(500)):
        (tmp_path / "a.mat").write_bytes(data)
        with pytest.raises(DarkposeError, match=r"a\.mat: not a MATLAB 5 file"):
            read_mat5(tmp_path / "a.mat", ("x",))
    with pytest.raises(DarkposeError, match=r"b\.mat: cannot be read"):
        read_mat5(tmp_path / "b.mat", ("x",))
