"""Memory asked for ahead: it changes nothing but how long things take."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from darkpose.codec.compiled import AVAILABLE, array
from darkpose.codec.prefetch import prefetch

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="Numba is not installed (extra fast)")


@pytest.mark.parametrize("kind", ["float32", "float64", "int16"])
def test_asking_for_memory_changes_no_value_and_may_name_any_place(kind: str) -> None:
    def total(cells: NDArray[Any]) -> float:
        found = 0.0
        for m in range(len(cells)):
            prefetch(cells, (m + 1) * cells.shape[1])  # of the last row: beyond the end, which is no error
            for i in range(cells.shape[1]):
                found += cells[m, i]
        return found

    import numba

    cells = np.arange(6 * 100).reshape(6, 100).astype(kind)
    compiled = numba.njit([numba.float64(array(kind, 2))])(total)
    assert compiled(cells) == cells.sum()
    assert (cells == np.arange(600).reshape(6, 100)).all()
