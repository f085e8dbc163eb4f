"""MATLAB 7.3 files (HDF5): arrays that are stored in the file itself, and no larger than it can hold."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.files.paths import check_regular

if TYPE_CHECKING:
    import h5py

MAX_BYTES = 1 << 28  # of an array
MAX_RATIO = 1100  # of an array's size to its compressed size; zlib reaches 1032


def open_mat73(file: Path) -> "h5py.File":
    """Open a file for reading.

    Raises:
        DarkposeError: h5py is missing, or it is no HDF5 file.
    """
    try:
        import h5py
    except ImportError as error:
        raise DarkposeError(f"{file}: reading it needs h5py: pip install 'darkpose[data]'") from error
    try:
        check_regular(file)
        return h5py.File(file, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise DarkposeError(f"{file}: cannot be read as a MATLAB 7.3 (HDF5) file: {error}") from error


def read_array(content: "h5py.File", place: Any) -> NDArray[Any]:
    """An array of numbers, or of references to others.

    Args:
        content: the file.
        place: a name, or a reference.

    Raises:
        DarkposeError: there is none, it is damaged, too large, or stored in another file.
    """
    import h5py

    what = place if isinstance(place, str) else "a cell"
    try:
        if isinstance(place, str) and not isinstance(content.get(place, getlink=True), h5py.HardLink):
            raise DarkposeError(f"{what} is missing, or a link")
        found = content[place]
        if not isinstance(found, h5py.Dataset):
            raise DarkposeError(f"{what} is no array")
        _check_storage(found, what)
        return np.asarray(found[()])
    except DarkposeError:
        raise
    except Exception as error:  # h5py raises many kinds of errors on damaged files
        raise DarkposeError(f"{what} is damaged ({str(error)[:200]})") from error


def _check_storage(found: "h5py.Dataset", what: str) -> None:
    """Refuse arrays in other files, and declared sizes beyond what the stored bytes can hold."""
    import h5py

    if found.external or found.is_virtual:
        raise DarkposeError(f"{what} is stored in another file")
    if found.dtype.kind not in "uif" and h5py.check_ref_dtype(found.dtype) is None:
        raise DarkposeError(f"{what} holds {found.dtype}, expected numbers or references")
    size, stored = math.prod(found.shape or ()) * found.dtype.itemsize, found.id.get_storage_size()
    chunk = math.prod(found.chunks) * found.dtype.itemsize if found.chunks else 0
    if max(size, chunk) > MAX_BYTES or size > stored * MAX_RATIO:
        raise DarkposeError(f"{what} has the shape {found.shape}, {size} bytes, but {stored} bytes in the file")
