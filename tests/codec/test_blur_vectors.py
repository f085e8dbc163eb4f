"""The blur in vector instructions gives the sums that NumPy gives."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darkpose.codec.dark import modulation_kernel

pytest.importorskip("numba", reason='needs Numba, the extra "fast"')
from darkpose.codec.blur_vectors import COLUMNS, LANES, ROWS, TAPS, blur_stencil
from darkpose.codec.compiled import array, compile_for, scalar


@cache
def compiled(kind: str) -> Callable[..., None]:
    def blur(cells: Any, row: int, column: int, taps: Any, out: Any) -> None:
        blur_stencil(cells, row, column, taps, out)

    types = [array(kind, 2), scalar("int64"), scalar("int64"), array("float64", 1), array("float64", 2, written=True)]
    return compile_for(blur, *types)


def blurred(cells: NDArray[Any], row: int, column: int, taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """(5, 5), by the definition."""
    out = np.empty((5, 5))
    for y in range(5):
        for x in range(5):
            window = cells[row + y : row + y + TAPS, column + x : column + x + TAPS].astype(np.float64)
            out[y, x] = (np.outer(taps, taps) * window).sum()
    return out


@pytest.mark.parametrize("kind", ["float32", "float64", "int16"])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (3, 7), (25, 14)])
def test_the_cells_in_the_middle_are_blurred(kind: str, row: int, column: int) -> None:
    rng = np.random.default_rng(0)
    cells = (100 * rng.standard_normal((25 + ROWS, 14 + COLUMNS))).astype(kind)
    for taps in (modulation_kernel(TAPS), rng.random(TAPS)):  # the second is not symmetric
        out = np.full((5, LANES), np.nan)
        compiled(kind)(cells, row, column, taps, out)
        np.testing.assert_allclose(out[:, :5], blurred(cells, row, column, taps), rtol=1e-12, atol=1e-11)


def test_nothing_beyond_the_window_is_read() -> None:
    rng = np.random.default_rng(1)
    cells = np.full((ROWS + 4, COLUMNS + 4), np.nan, np.float32)
    cells[2 : 2 + ROWS, 2 : 2 + ROWS] = rng.random((ROWS, ROWS))
    taps, out = modulation_kernel(TAPS), np.empty((5, LANES))
    compiled("float32")(cells, 2, 2, taps, out)
    np.testing.assert_allclose(out[:, :5], blurred(cells, 2, 2, taps), rtol=1e-12)
