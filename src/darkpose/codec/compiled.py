"""Numba, if it is installed: compile functions for given types and keep the machine code on disk."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, cast

from darkpose.errors import DarkposeError
from darkpose.files.atomic import write_atomically
from darkpose.files.lock import file_lock

try:
    import numba
except ImportError:  # the extra "fast" is not installed
    numba = None  # type: ignore[assignment]

Function = TypeVar("Function", bound=Callable[..., Any])

_numba: Any = numba  # its own types are narrower than what it accepts
AVAILABLE = _numba is not None and not _numba.config.DISABLE_JIT
_compile = partial(_numba.njit, error_model="numpy", nogil=True) if AVAILABLE else None  # x / 0 is as in IEEE 754

_lock = RLock()


def once(make: Function) -> Function:
    """`functools.cache`, but threads that ask for the same value at the same time wait for one to make it."""
    kept = cache(make)

    def get(*arguments: Any) -> Any:
        with _lock:
            return kept(*arguments)

    return cast(Function, get)


def part(function: Function) -> Function:
    """Make a function callable from those that `compile_for` compiles; without Numba it stays as it is."""
    return _compile(function) if _compile else function


def array(dtype: str, dimensions: int, *, written: bool = False) -> Any:
    """The type of a contiguous array; one that is not written to may be read-only or not."""
    return _numba.types.Array(getattr(_numba.types, dtype), dimensions, "C", readonly=not written)


def scalar(dtype: str) -> Any:
    """The type of a number, or of None ("none"): branches on `is None` are decided before compiling."""
    return getattr(_numba.types, dtype)


def compile_for(function: Function, *types: Any) -> Function:
    """Compile a function for arguments of given types; it releases Python's lock while it runs.

    The machine code is kept in `__pycache__` next to the source, or where that cannot be written in the user's cache
    folder, or in `NUMBA_CACHE_DIR`. Where none of them can be used, every process compiles again. Numba finds kept code
    by the name of the function and the age of its file; the name is extended by a hash of all files of this package,
    because functions and constants of other files are compiled in.
    """
    assert _compile
    function.__qualname__ = f"{function.__name__}_{_hash_of_sources()}"
    try:
        with _undamaged_code(function):
            return _compile([types], cache=True)(function)  # type: ignore[no-any-return]
    except Exception:  # no folder for it, a full disk, files that Numba cannot read
        return _compile([types])(function)  # type: ignore[no-any-return]


@contextmanager
def _undamaged_code(function: Function) -> Iterator[None]:
    """Remove the kept code of a function unless its checksum is right; afterwards record that of the code then kept.

    Numba reads its files without a check: a damaged one ends the process. Processes take turns.
    """
    from numba.core import caching

    places: Any = caching
    folder, name = Path(places.FunctionCache(function).cache_path), function.__qualname__
    record = folder / f"{name}.sha256"
    with file_lock(folder / "darkpose.lock"):
        kept, recorded = _checksum(folder, name), record.read_bytes() if record.exists() else b""
        if kept != recorded:
            for file in _kept_files(folder, name):
                file.unlink()
        yield
        if (kept := _checksum(folder, name)) != recorded:
            with suppress(DarkposeError):  # the next process will compile again
                write_atomically(record, lambda temporary: temporary.write_bytes(kept))


def _kept_files(folder: Path, name: str) -> list[Path]:
    return sorted(file for file in folder.glob(f"*{name}-*") if file.suffix in (".nbi", ".nbc"))


def _checksum(folder: Path, name: str) -> bytes:
    """SHA-256 of the files that Numba keeps for a function, in hex."""
    digest = hashlib.sha256()
    for file in _kept_files(folder, name):
        digest.update(f"{file.name} {file.stat().st_size} ".encode() + file.read_bytes())
    return digest.hexdigest().encode()


@cache
def _hash_of_sources() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
