"""The blur around a maximum, for code that Numba compiles: with a kernel of any size, and of the whole map.

All fill `out` (5, 5 or more) with the blurred cells around (x, y), which is at least two cells inside the map. With the
usual kernel of 11 `blur_vectors` is used instead.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.compiled import part
from darkpose.codec.dark import FLOOR
from darkpose.codec.half_precision import Table, number

Maps = NDArray[Any]
Floats = NDArray[np.floating[Any]]


@part
def blur_stencil_cells(
    stored: Maps, table: Table, x: int, y: int, taps: Floats, row: Floats, columns: Floats, out: Floats
) -> None:
    """Fill the 13 cells of `out` that the derivatives use.

    Args:
        stored, table: the map, see `half_precision`.
        x, y: the maximum.
        taps: the kernel.
        row: (at least len(taps) + 4,) working memory.
        columns: (5, at least len(taps) + 4) working memory.
        out: the result.
    """
    size, reach = len(taps), len(taps) // 2
    left, right = max(0, x - 2 - reach), min(stored.shape[1], x + 3 + reach)
    top, bottom = max(0, y - 2 - reach), min(stored.shape[0], y + 3 + reach)
    columns[:] = 0.0
    for j in range(top, bottom):
        cells = stored[j, left:right]
        for i in range(len(cells)):
            row[i] = number(cells[i], table)
        for dy in range(max(0, j - y + 2 - reach), min(5, j - y + 3 + reach)):
            tap, blurred = taps[j - (y + dy - 2 - reach)], columns[dy]
            for i in range(len(blurred)):
                blurred[i] += tap * row[i]
    for dy in range(5):
        for dx in range(abs(dy - 2), 5 - abs(dy - 2)):
            start = x + dx - 2 - reach - left  # the column under the first tap
            first, last = max(0, -start), min(size, right - left - start)
            used, under = taps[first:last], columns[dy, start + first : start + last]
            value = 0.0
            for t in range(len(used)):
                value += used[t] * under[t]
            out[dy, dx] = value


@part
def blur_whole_map(stored: Maps, table: Table, x: int, y: int, taps: Floats, score: float, out: Floats) -> None:
    """Fill `out` with the blurred map, scaled to its old maximum and clipped at `dark.FLOOR`.

    The scale is a constant under DARK's logarithm. It matters only where a cell around the maximum falls to the clip.

    Args:
        stored, table: the map, see `half_precision`; without NaN.
        x, y: the maximum.
        taps: the kernel.
        score: the maximum.
        out: the result.
    """
    height, width = stored.shape
    reach = len(taps) // 2
    cells, columns, row = np.empty((height, width)), np.zeros(width + 2 * reach), np.zeros(width)
    for j in range(height):
        for i in range(width):
            cells[j, i] = number(stored[j, i], table)
    inner = columns[reach : reach + width]
    top, has_nan = -np.inf, False
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
            has_nan |= row[i] != row[i]
        if abs(j - y) < 3:
            out[j - y + 2, :5] = row[x - 2 : x + 3]
    factor = np.nan if has_nan else score / top
    for dy in range(5):
        for dx in range(5):
            value = out[dy, dx] * factor
            out[dy, dx] = FLOOR if value < FLOOR else value  # NaN stays
