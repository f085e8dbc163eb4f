"""MATLAB 7.3 files: arrays in the file itself are read, others refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.datasets.mat73 import open_mat73, read_array
from darkpose.errors import DarkposeError

h5py = pytest.importorskip("h5py")


def read(path: Path, make: Callable[[Any], object]) -> np.ndarray:
    with h5py.File(path / "a.mat", "w") as file:
        make(file)
    with open_mat73(path / "a.mat") as content:
        return read_array(content, "x")


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_numbers_are_read_compressed_or_not(tmp_path: Path, compression: str | None) -> None:
    values = np.zeros((500, 400))
    found = read(tmp_path, lambda file: file.create_dataset("x", data=values, compression=compression))
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda file: file.create_dataset("x", (8,), "u1", external=[("passwd", 0, 8)]), "stored in another file"),
        (lambda file: file.__setitem__("x", h5py.ExternalLink("other.mat", "/x")), "a link"),
        (lambda file: file.__setitem__("x", h5py.SoftLink("/y")), "a link"),
        (lambda file: file.create_group("x"), "no array"),
        (lambda file: file.create_dataset("y", data=1), "missing"),
        (lambda file: file.create_dataset("x", (30_000, 30_000, 3), "u1", chunks=(100, 100, 3)), "0 bytes in the file"),
        (lambda file: file.create_dataset("x", data=["words"]), "expected numbers or references"),
        (lambda file: file.create_dataset("x", data=np.zeros(2, [("a", "f8")])), "expected numbers or references"),
    ],
)
def test_what_is_not_in_the_file_is_refused(tmp_path: Path, make: Callable[[Any], object], message: str) -> None:
    (tmp_path / "passwd").write_text("root:x:0")
    with pytest.raises(DarkposeError, match=message):
        read(tmp_path, make)


def test_a_virtual_array_is_refused(tmp_path: Path) -> None:
    def make(file: Any) -> None:
        layout = h5py.VirtualLayout((4,), "f8")
        layout[:] = h5py.VirtualSource("other.mat", "x", (4,))
        file.create_virtual_dataset("x", layout)

    with pytest.raises(DarkposeError, match="stored in another file"):
        read(tmp_path, make)


def test_references_lead_to_arrays_of_the_same_file(tmp_path: Path) -> None:
    def make(file: Any) -> None:
        cell = file.create_dataset("cell", data=np.arange(3))
        file.create_dataset("x", data=np.array([cell.ref], object), dtype=h5py.ref_dtype)

    with h5py.File(tmp_path / "a.mat", "w") as file:
        make(file)
    with open_mat73(tmp_path / "a.mat") as content:
        (reference,) = read_array(content, "x")
        np.testing.assert_array_equal(read_array(content, reference), [0, 1, 2])
