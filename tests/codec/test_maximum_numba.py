"""The maximum that compiled code finds is NumPy's, the first of equal ones, and a NaN is seen wherever it is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("numba", reason='needs Numba, the extra "fast"')
from darkpose.codec.half_precision import table_of_numbers
from darkpose.codec.maximum_numba import BLOCK, NOT_A_NUMBER, NOT_POSITIVE, find_maximum, infinities, maximum_below_zero

LETTERS = ("e", "f", "d")  # float16, float32, float64
LENGTHS = (1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 5)


def found(cells: NDArray[np.floating[Any]]) -> int:
    return int(find_maximum(cells.view(f"i{cells.itemsize}"), infinities(cells.dtype.char, cells.itemsize)))


@pytest.mark.parametrize("letter", LETTERS)
@given(seed=st.integers(0, 2**32 - 1), length=st.sampled_from(LENGTHS), few=st.booleans())
def test_it_is_that_of_numpy_and_the_first_of_equal_ones(letter: str, seed: int, length: int, few: bool) -> None:
    rng = np.random.default_rng(seed)
    cells = (rng.integers(-2, 3, length) if few else rng.standard_normal(length)).astype(letter)
    at = int(cells.argmax())
    assert found(cells) == (at if cells[at] > 0 else NOT_POSITIVE)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_every_place_is_found(length: int, letter: str) -> None:
    for low in (0.0, -1.0, -np.inf, 0.5):
        cells = np.full(length, low, letter)
        for place in range(length):
            cells[place] = 1
            assert found(cells) == place
            cells[place] = low


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("value", [np.nan, -np.nan], ids=["NaN", "NaN with its sign bit set"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_nan_is_seen_in_every_place(length: int, value: float, letter: str) -> None:
    for other in (-1.0, 0.5, np.inf):
        cells = np.full(length, other, letter)
        for place in {0, length // 2, length - 1}:
            cells[place] = value
            assert found(cells) == NOT_A_NUMBER
            cells[place] = other


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("value", [-0.0, 0.0, -np.inf, -1e-7])
def test_a_map_without_a_positive_number_has_none(value: float, letter: str) -> None:
    cells = np.full(2 * BLOCK + 3, value, letter)
    assert found(cells) == NOT_POSITIVE
    cells[BLOCK] = np.inf
    assert found(cells) == BLOCK


def test_the_maximum_of_a_map_below_zero_is_its_score() -> None:
    cells = np.array([[-3.0, -0.5], [-2.0, -np.inf]], np.float32)
    assert maximum_below_zero(cells, None) == -0.5
    half = cells.astype(np.float16).view(np.int16)
    assert maximum_below_zero(half, table_of_numbers("e")) == -0.5
