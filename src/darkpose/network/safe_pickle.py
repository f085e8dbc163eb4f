"""Pickles of strangers: read without executing anything in them.

PyTorch's restricted reader does it. The NumPy values that files carry beside their weights are taken by stand-ins
defined here, so that nothing of NumPy is ever called with what a file says.
"""

import re
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from pickletools import genops
from typing import Any

import numpy as np
import torch

from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular


class _Discarded:
    """Stands for a NumPy array: nobody needs those beside the weights."""

    def __init__(self, *described: object) -> None: ...

    def __setstate__(self, state: object) -> None: ...


class _Dtype:
    """Stands for `numpy.dtype`: a code like "f8" and, from its state, the byte order."""

    def __init__(self, code: str, *flags: object) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = str(state[1])


def _scalar(dtype: _Dtype, data: bytes = b"") -> float | None:
    """Stands for NumPy's reader of scalars: a plain number or truth value; None for all else."""
    if dtype.code not in ("f4", "f8", "i4", "i8", "b1"):
        return None
    number: float = np.frombuffer(data, dtype.order + dtype.code, 1)[0].item()
    return number


# What a file may ask for beside PyTorch's own: NumPy < 2 and >= 2 write different names.
ALLOWED: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    (_Dtype, "numpy.dtype"),
    (_Discarded, "numpy.ndarray"),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
    (_Discarded, "numpy.core.multiarray._reconstruct"),
    (_Discarded, "numpy._core.multiarray._reconstruct"),
]


# Packages whose objects training runs leave next to the weights: they are dropped, by a stand-in for each class.
DROPPED = (
    *("mmengine", "mmcv", "mmpose", "pytorch_lightning", "lightning", "lightning_fabric", "omegaconf"),
    *("argparse", "pathlib", "datetime"),
)
MAX_CLASSES = 100  # of such objects
MAX_NAME = 1000  # characters of a class or function that a file asks for
MAX_INFLATED = 4  # bytes in memory for a byte of the file; torch.save does not compress


def unpickle(path: Path) -> Any:
    """What a file of `torch.save` holds: tensors on the CPU and plain values; NumPy's arrays are dropped.

    Objects of the packages in `DROPPED` are dropped, too; no code of theirs runs.

    Raises:
        DarkposeError: the file cannot be opened, is damaged or of another kind, or asks for anything else.
    """
    try:
        check_regular(path)
        data = path.read_bytes()
    except OSError as error:
        raise DarkposeError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return unpickle_bytes(data)
    except DarkposeError as error:
        raise DarkposeError(f"{path}: {error}") from error


def unpickle_bytes(content: bytes) -> Any:
    """As `unpickle`, of the bytes of a file.

    Raises:
        DarkposeError: they are damaged or of another kind, or ask for anything else.
    """
    data = BytesIO(content)
    _check_size(data)
    _check_names(data)
    allowed = list(ALLOWED)
    for _ in range(MAX_CLASSES):
        data.seek(0)
        try:
            with torch.serialization.safe_globals(allowed), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch's words on old files; what matters is said below
                return torch.load(data, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle can fail in any way
            wanted = re.search(r"GLOBAL ([\w.]+)", str(error))
            name = wanted[1].rstrip(".") if wanted else ""
            if name.split(".")[0] not in DROPPED:
                raise DarkposeError(_explained(error)) from error
            allowed.append((_Discarded, name))
    raise DarkposeError(f"expected at most {MAX_CLASSES} kinds of objects next to the weights")


def _check_size(data: BytesIO) -> None:
    """Refuse a compressed archive, which could take any amount of memory, and one whose sizes cannot be read."""
    size, inflated = data.getbuffer().nbytes, 0
    try:
        if zipfile.is_zipfile(data):
            with zipfile.ZipFile(data) as archive:
                inflated = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DarkposeError(f"expected a file as torch.save writes it, got a damaged archive: {error}") from error
    if inflated > MAX_INFLATED * size:
        raise DarkposeError("expected a file as torch.save writes it, got a compressed archive")


def _check_names(data: BytesIO) -> None:
    """Refuse names of absurd length, or without an end: PyTorch searches its message about one in quadratic time."""
    problem = ""
    with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # PyTorch says what is wrong
        if zipfile.is_zipfile(data):
            with zipfile.ZipFile(data) as archive:
                names = [name for name in archive.namelist() if name.endswith("data.pkl")]
                streams = [BytesIO(archive.read(name)) for name in names]
        else:
            data.seek(0)
            streams = [data] * 4  # of an old file: magic number, version, machine and content
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of odd escapes in names
                names_of_classes = (name for each in streams for code, name, _ in genops(each) if code.name == "GLOBAL")
                if any(len(str(name)) > MAX_NAME for name in names_of_classes):
                    problem = f"a name of a class has more than {MAX_NAME} letters"
        except UnicodeDecodeError:  # others may follow
            problem = "a name of a class is not ASCII"
        except ValueError as error:  # it ends early, perhaps within a name
            problem = str(error)
    if problem:
        raise DarkposeError(
            f"expected a checkpoint written by torch.save, but the file is damaged or of another kind ({problem})"
        )


def _explained(error: Exception) -> str:
    """PyTorch's words without its advice to trust the file."""
    if wanted := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return (
            f"refused, because opening it would run code that it names ({wanted[1].rstrip('.')}); expected tensors and "
            "plain values only. If you trust its source, load it with the project that wrote it, on an isolated "
            "machine, and save only model.state_dict() with torch.save, or as safetensors"
        )
    reason = str(error).rpartition("WeightsUnpickler error: ")[2].strip()
    reason = reason.partition("\n")[0].partition(". ")[0]
    return (
        "expected a checkpoint written by torch.save, but the file is damaged or of another kind "
        f"({type(error).__name__}: {reason})"
    )
