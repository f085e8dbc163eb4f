"""Pickles of strangers: plain values are read, all else is refused and never run."""

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from darkpose.errors import DarkposeError
from darkpose.network.safe_pickle import unpickle

WEIGHTS = {f"conv{i}.weight": torch.ones(30, 30) for i in range(9)}
META: dict[str, Any] = {
    "epoch": np.int64(60),
    "hook_msgs": {"best_score": np.float64(0.0398), "best": np.bool_(True), "lr": np.float32(2e-3), "n": np.int32(3)},
    "dataset_meta": {"sigmas": np.ones(3, np.float32), "colors": np.zeros((2, 3), np.uint8)},
    "name": np.str_("text"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth"


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("core", [b"numpy._core", b"numpy.core"])
def test_plain_numpy_values_of_any_numpy_are_read(core: bytes, new_format: bool, path: Path) -> None:
    torch.save(META, path, _use_new_zipfile_serialization=new_format)
    rename_in_pickle(path, b"numpy._core", core)
    found = unpickle(path)
    messages = found["hook_msgs"]
    assert found["epoch"] == 60
    assert messages == {"best_score": 0.0398, "best": True, "lr": pytest.approx(2e-3), "n": 3}
    assert [type(value) for value in messages.values()] == [float, bool, float, int]


def rename_in_pickle(path: Path, old: bytes, new: bytes) -> None:
    """Replace a module's name in a file of either format."""
    if not zipfile.is_zipfile(path):
        path.write_bytes(path.read_bytes().replace(old, new))
        return
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data.replace(old, new) if name.endswith("data.pkl") else data)


class Evil:
    """Its pickle asks for a function to be called."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.wanted = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], Any]:
        return self.wanted


@pytest.mark.parametrize(("order", "dtype"), [("<d", "<f8"), (">d", ">f8")])
def test_numpy_values_of_either_byte_order_are_read(order: str, dtype: str, path: Path) -> None:
    make_scalar = np.float64(1).__reduce__()[0]
    assert callable(make_scalar)
    torch.save(Evil(make_scalar, np.dtype(dtype), struct.pack(order, 2.5)), path)
    assert unpickle(path) == 2.5


def test_other_numpy_values_are_dropped(path: Path) -> None:
    torch.save(META, path)
    found = unpickle(path)
    assert found["name"] is None
    assert not isinstance(found["dataset_meta"]["sigmas"], np.ndarray)


@pytest.mark.parametrize("place", ["state_dict", "meta", "numpy", "bare"])
@pytest.mark.parametrize("new_format", [True, False])
def test_code_in_a_pickle_is_refused_and_never_run(place: str, new_format: bool, path: Path) -> None:
    mark = path.with_name("executed")
    for evil in (Evil(open, str(mark), "w"), Evil(os.system, f"touch {mark}"), Evil(exec, f"open({str(mark)!r}, 'w')")):
        content = {
            "state_dict": {"state_dict": {"conv1.weight": evil}},
            "meta": {"meta": {"x": evil}, "state_dict": WEIGHTS} if new_format else {"meta": evil},
            "numpy": {"meta": np.array([evil, 1], object)},
            "bare": evil,
        }[place]
        torch.save(content, path, _use_new_zipfile_serialization=new_format)
        with pytest.raises(DarkposeError, match=r"would run code that it names .*save only model\.state_dict\(\)"):
            unpickle(path)
        assert not mark.exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol 4")
@pytest.mark.parametrize("protocol", [2, 4])
def test_a_plain_pickle_is_refused_and_never_run(protocol: int, path: Path) -> None:
    mark = path.with_name("executed")
    path.write_bytes(pickle.dumps(Evil(open, str(mark), "w"), protocol))
    with pytest.raises(DarkposeError, match=r"model\.pth: "):
        unpickle(path)
    assert not mark.exists()


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_pickled_whole_model_is_refused(wrapped: bool, path: Path) -> None:
    model = torch.nn.Conv2d(3, 4, 1)
    torch.save({"state_dict": model, "epoch": 1} if wrapped else model, path)
    with pytest.raises(DarkposeError, match=r"it names \(torch\.nn\.modules\.conv\.Conv2d\)"):
        unpickle(path)


def test_the_refusal_does_not_advise_to_trust_the_file(path: Path) -> None:
    torch.save(Evil(os.getpid), path)
    with pytest.raises(DarkposeError) as raised:
        unpickle(path)
    assert "weights_only" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("keep", [0, 1, 10, 1000, -1000, -1])
def test_a_truncated_file_is_refused_in_one_sentence(keep: int, new_format: bool, path: Path) -> None:
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=new_format)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(
        DarkposeError, match=r"^[^\n]*model\.pth: expected a checkpoint .* damaged or of another kind[^\n]*$"
    ):
        unpickle(path)


def test_a_name_without_an_end_is_refused_at_once(path: Path) -> None:
    torch.save(WEIGHTS, path)
    with zipfile.ZipFile(path) as file:
        entries = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data[:-1] + b"cmodule" + b"x" * 65_000 if name.endswith("data.pkl") else data)
    with pytest.raises(DarkposeError, match=r"model\.pth: expected a checkpoint .* damaged .*no newline found"):
        unpickle(path)


def test_an_archive_that_says_it_is_one_of_several_is_refused(path: Path) -> None:
    torch.save(WEIGHTS, path)
    whole, of_eight = path.read_bytes(), struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 8)
    path.write_bytes(whole[:-22] + of_eight + whole[-22:])
    with pytest.raises(DarkposeError, match=r"model\.pth: expected a .*damaged archive: .* span multiple"):
        unpickle(path)


@pytest.mark.parametrize(
    "content", [b"hello\n", b"<!DOCTYPE html><html>", b"\x80\x02}q\x00.", b"PK\x03\x04" + b"\0" * 99]
)
def test_a_file_of_another_kind_is_refused(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(DarkposeError, match=r"model\.pth: expected a "):
        unpickle(path)


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(DarkposeError, match="cannot be read: Is a directory"):
        unpickle(tmp_path)
