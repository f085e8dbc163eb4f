"""Numba, where it is installed: functions compiled for given types, kept on disk between processes."""

import pickle
from collections.abc import Callable
from functools import cache, partial
from threading import RLock
from typing import Any, TypeVar, cast

try:
    import numba
    from llvmlite import ir as ir
except ImportError:  # the extra "fast" is not installed
    numba = ir = None  # type: ignore[assignment]

Function = TypeVar("Function", bound=Callable[..., Any])

_numba: Any = numba  # whose own types are narrower than what it takes
AVAILABLE = _numba is not None and not _numba.config.DISABLE_JIT
_compile = partial(_numba.njit, error_model="numpy", nogil=True) if AVAILABLE else None  # x / 0 is as in IEEE 754


_lock = RLock()


def once(make: Function) -> Function:
    """`functools.cache`, but threads that ask for the same value at once wait for a single one to make it."""
    kept = cache(make)

    def get(*arguments: Any) -> Any:
        with _lock:
            return kept(*arguments)

    return cast(Function, get)


def part(function: Function) -> Function:
    """Make a function callable from those that `compile_for` compiles; without Numba it stays as it is."""
    return _compile(function) if _compile else function


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make of a function that tells a signature, and what writes LLVM's instructions for it (`ir`), a compiled one."""
    if not AVAILABLE:
        return function
    from numba.extending import intrinsic as wrap

    return wrap(function)


def spread(builder: Any, value: Any, kind: Any) -> Any:
    """Write LLVM's instructions for a vector of type `kind` (`ir.VectorType`) that holds one value in every lane."""
    nothing, number = ir.Constant(kind, ir.Undefined), ir.IntType(32)
    first = ir.Constant(ir.VectorType(number, kind.count), [0] * kind.count)
    return builder.shuffle_vector(builder.insert_element(nothing, value, number(0)), nothing, first)


def array(dtype: str, dimensions: int, *, written: bool = False) -> Any:
    """The type of a contiguous array; one that is not written to may be read-only or not."""
    return _numba.types.Array(getattr(_numba.types, dtype), dimensions, "C", readonly=not written)


def scalar(dtype: str) -> Any:
    """The type of a number, or of None ("none"): branches on `is None` are decided before compiling."""
    return getattr(_numba.types, dtype)


def several(*types: Any) -> Any:
    """The type of a tuple."""
    return _numba.types.Tuple(types)


def compile_for(function: Function, *types: Any) -> Function:
    """Compile a function for arguments of given types; it releases Python's lock while it runs.

    The machine code is kept in `__pycache__` beside the source, or where that cannot be written in the user's cache
    folder, or where `NUMBA_CACHE_DIR` says. Where none of these can be used it is made anew in every process.
    """
    assert _compile
    try:
        return _compile([types], cache=True)(function)  # type: ignore[no-any-return]
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError):  # no such folder, a full disk, a broken file
        return _compile([types])(function)  # type: ignore[no-any-return]
