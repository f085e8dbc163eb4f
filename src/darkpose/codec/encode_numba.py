"""Draw Gaussian heatmaps in one pass over the memory, compiled by Numba.

A Gaussian is a product of one along x and one along y; these are computed once per map. The maps are shared among
threads as in `dark_numba`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.compiled import array, compile_for, once, part, scalar
from darkpose.codec.targets import ZERO_BEYOND_SIGMAS
from darkpose.codec.threads import in_threads

Floats = NDArray[np.floating[Any]]

MIN_CELLS_FOR_THREADS = 1 << 21  # starting threads for fewer takes longer than it saves


def draw_gaussians(
    centres: NDArray[np.float64], sigma: float, radius: float, out: NDArray[np.floating[Any]]
) -> NDArray[np.floating[Any]]:
    """Fill maps with Gaussians of height 1.

    Args:
        centres: (M, 2) as (x, y), heatmap px; a map of a centre that is not finite is 0.
        sigma: px.
        radius: px; cells further away along x or y are 0; at most `targets.ZERO_BEYOND_SIGMAS` sigmas.
        out: (M, H, W) contiguous; it is filled and returned.
    """
    kernel, radius = _kernel(), min(radius, ZERO_BEYOND_SIGMAS * sigma)

    def work(first: int, last: int) -> None:
        kernel(centres, sigma, radius, first, last, out)

    if out.size < MIN_CELLS_FOR_THREADS:
        work(0, len(out))
    else:
        in_threads(work, len(out))
    return out


@once
def _kernel() -> Callable[..., None]:
    types: list[Any] = [array("float64", 2), *(scalar("float64"),) * 2, *(scalar("int64"),) * 2]
    return compile_for(_draw_range, *types, array("float32", 3, written=True))


def _draw_range(centres: Floats, sigma: float, radius: float, first: int, last: int, out: Floats) -> None:
    """Draw maps first .. last."""
    height, width = out.shape[1], out.shape[2]
    along_x, along_y = np.zeros(width, np.float32), np.zeros(height, np.float32)
    for m in range(first, last):
        out[m] = 0.0
        if not (np.isfinite(centres[m, 0]) and np.isfinite(centres[m, 1])):
            continue
        left, right = _profile(centres[m, 0], sigma, radius, along_x)
        top, bottom = _profile(centres[m, 1], sigma, radius, along_y)
        for y in range(top, bottom):
            drawn, values, factor = out[m, y, left:right], along_x[left:right], along_y[y]
            for i in range(len(drawn)):
                drawn[i] = factor * values[i]


@part
def _profile(centre: float, sigma: float, radius: float, out: Floats) -> tuple[int, int]:
    """Fill `out` where it is not 0; return the first of these cells and the one after the last."""
    first, last = 0, len(out)
    if radius < len(out) + abs(centre):  # whole numbers are then not too large
        first = max(0, min(last, int(np.floor(centre - radius))))
        last = max(first, min(last, int(np.ceil(centre + radius)) + 1))
    for i in range(first, last):
        offset = i - centre
        out[i] = np.exp(offset * offset / (-2.0 * sigma * sigma)) if abs(offset) <= radius else 0.0
    return first, last
