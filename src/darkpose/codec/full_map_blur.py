"""The whole blurred map, for code that Numba compiles: where its scale matters to what DARK's logarithm sees.

The reference scales the blurred map to its old maximum, a constant under the logarithm, and clips it at
`dark_numpy.FLOOR`. Only where a cell around the maximum falls to the clip does the factor matter.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.compiled import part
from darkpose.codec.dark import FLOOR

Floats = NDArray[np.floating[Any]]


@part
def clip_scaled(cells: Floats, x: int, y: int, taps: Floats, score: float, out: Floats) -> None:
    """Fill `out` (5, 5 or more) with the blurred map around (x, y), scaled to its old maximum and clipped.

    Args:
        cells: (H, W) float64, without NaN; x and y at least two cells inside.
        x, y: of the maximum.
        taps: the blur's kernel.
        score: the maximum.
        out: where to.
    """
    height, width = cells.shape
    reach = len(taps) // 2
    columns, row = np.zeros(width + 2 * reach), np.zeros(width)
    inner = columns[reach : reach + width]
    top, broken = -np.inf, False
    for j in range(height):
        inner[:] = 0.0
        for k in range(max(0, j - reach), min(height, j + reach + 1)):
            tap, line = taps[k - j + reach], cells[k]
            for i in range(width):
                inner[i] += tap * line[i]
        row[:] = 0.0
        for t in range(len(taps)):
            tap, under = taps[t], columns[t : t + width]
            for i in range(width):
                row[i] += tap * under[i]
        for i in range(width):
            top = max(top, row[i])
            broken |= row[i] != row[i]
        if abs(j - y) < 3:
            out[j - y + 2, :5] = row[x - 2 : x + 3]
    factor = np.nan if broken else score / top
    for dy in range(5):
        for dx in range(5):
            value = out[dy, dx] * factor
            out[dy, dx] = FLOOR if value < FLOOR else value  # NaN stays
