"""The highest of whole numbers in vector instructions is NumPy's, and the first of equals."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("numba", reason='needs Numba, the extra "fast"')
from darkpose.codec.compiled import array, compile_for, scalar
from darkpose.codec.highest import BLOCK, highest

KINDS = ("int16", "int32", "int64")


@cache
def compiled(kind: str) -> Callable[..., None]:
    def find(cells: Any, blocks: int, top: Any, widest: Any, at: Any) -> None:
        top[0], widest[0], at[0] = highest(cells, blocks)

    written = [array(each, 1, written=True) for each in (kind, f"u{kind}", "int64")]
    return compile_for(find, array(kind, 1), scalar("int64"), *written)


def found(cells: NDArray[Any], blocks: int) -> tuple[int, int, int]:
    top, widest, at = np.zeros(1, cells.dtype), np.zeros(1, f"u{cells.dtype}"), np.zeros(1, np.int64)
    compiled(cells.dtype.name)(cells, blocks, top, widest, at)
    return int(top[0]), int(widest[0]), int(at[0])


def expected(cells: NDArray[Any], blocks: int) -> tuple[int, int, int]:
    read = cells[: blocks * BLOCK // cells.itemsize]
    return int(read.max()), int(read.view(f"u{cells.dtype}").max()), int(read.argmax())


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32 - 1), blocks=st.integers(1, 9), few=st.booleans())
def test_the_highest_is_that_of_numpy_and_the_first_of_equals(kind: str, seed: int, blocks: int, few: bool) -> None:
    rng, limits = np.random.default_rng(seed), np.iinfo(kind)
    low, high = (-2, 3) if few else (limits.min, limits.max)
    cells = rng.integers(low, high, blocks * BLOCK // np.dtype(kind).itemsize, dtype=kind, endpoint=True)
    assert found(cells, blocks) == expected(cells, blocks)


@pytest.mark.parametrize("kind", KINDS)
def test_every_place_is_found(kind: str) -> None:
    cells = np.full(3 * BLOCK // np.dtype(kind).itemsize, np.iinfo(kind).min, kind)
    for place in range(len(cells)):
        cells[place] += 1
        assert found(cells, 3) == expected(cells, 3)
        cells[place] -= 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_beyond_the_blocks_is_read(kind: str) -> None:
    cells = np.zeros(2 * BLOCK // np.dtype(kind).itemsize, kind)
    cells[BLOCK // cells.itemsize :] = 7
    assert found(cells, 1) == (0, 0, 0)


def test_numbers_need_not_be_aligned_to_vectors() -> None:
    cells = np.arange(2 * BLOCK // 4 + 3, dtype=np.int32)
    for start in range(4):
        assert found(cells[start:], 1)[2] == BLOCK // 4 - 1
