"""`gaussian_fit` for code that Numba compiles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.compiled import part
from darkpose.codec.gaussian_fit import (
    DAMPING,
    FIRST_SIGMA,
    MAX_DISTANCE,
    MAX_OUTSIDE,
    MAX_SIGMA,
    MAX_STEP,
    MIN_SIGMA,
    REACH,
    STEPS,
)
from darkpose.codec.half_precision import Table, number

Floats = NDArray[np.floating[Any]]


@part
def fit_gaussian(stored: NDArray[Any], table: Table, x: int, y: int, score: float) -> tuple[float, float, float]:
    """Offset (x, y) and sigma of the Gaussian around a maximum, as `gaussian_fit`; (0, 0, NaN) where none fits.

    Args:
        stored, table: the map, see `half_precision`.
        x, y: the maximum.
        score: its value.
    """
    height, width = stored.shape
    left, right = max(0, x - REACH), min(width, x + REACH + 1)
    top, bottom = max(0, y - REACH), min(height, y + REACH + 1)
    window, system = np.empty((bottom - top, right - left)), np.empty((4, 5))
    u, v, along_x, along_y = (
        np.empty(right - left),
        np.empty(bottom - top),
        np.empty(right - left),
        np.empty(bottom - top),
    )
    for j in range(top, bottom):
        for i in range(left, right):
            window[j - top, i - left] = number(stored[j, i], table) / np.float64(score)
    amplitude, sigma, cx, cy = 1.0, FIRST_SIGMA, 0.0, 0.0
    for _ in range(STEPS):
        for i in range(right - left):
            u[i] = (left + i - x - cx) / sigma
            along_x[i] = np.exp(-0.5 * u[i] * u[i])
        for j in range(bottom - top):
            v[j] = (top + j - y - cy) / sigma
            along_y[j] = np.exp(-0.5 * v[j] * v[j])
        _fill_normal_equations(window, u, v, along_x, along_y, amplitude, system)
        _eliminate(system)
        move_x, move_y = system[1, 4] * sigma, system[2, 4] * sigma
        shorter = MAX_STEP / max(np.hypot(move_x, move_y), MAX_STEP)
        cx += move_x * shorter
        cy += move_y * shorter
        sigma *= np.exp(min(max(system[3, 4], -0.5), 0.5))
        amplitude *= min(max(1 + system[0, 4], 0.3), 4.0)
    if not (MIN_SIGMA < sigma < MAX_SIGMA and np.isfinite(cx) and np.isfinite(cy)):
        return 0.0, 0.0, np.nan
    shorter = MAX_DISTANCE / max(np.hypot(cx, cy), MAX_DISTANCE)
    dx = min(max(x + cx * shorter, -MAX_OUTSIDE), width - 1 + MAX_OUTSIDE) - x
    dy = min(max(y + cy * shorter, -MAX_OUTSIDE), height - 1 + MAX_OUTSIDE) - y
    return dx, dy, sigma


@part
def _fill_normal_equations(
    window: Floats, u: Floats, v: Floats, along_x: Floats, along_y: Floats, amplitude: float, system: Floats
) -> None:
    """Fill `system` (4, 5) with the damped matrix and the right side, in the order of `gaussian_fit`'s derivatives."""
    x0 = x1 = x2 = x3 = x4 = 0.0
    for i in range(len(u)):
        square = along_x[i] * along_x[i]
        x0 += square
        x1 += square * u[i]
        x2 += square * u[i] ** 2
        x3 += square * u[i] ** 3
        x4 += square * u[i] ** 4
    y0 = y1 = y2 = y3 = y4 = 0.0
    r00 = r01 = r10 = r22 = 0.0
    for j in range(len(v)):
        square = along_y[j] * along_y[j]
        y0 += square
        y1 += square * v[j]
        y2 += square * v[j] ** 2
        y3 += square * v[j] ** 3
        y4 += square * v[j] ** 4
        h0 = h1 = h2 = 0.0
        for i in range(len(u)):
            value = along_x[i] * window[j, i]
            h0 += value
            h1 += value * u[i]
            h2 += value * u[i] ** 2
        r00 += along_y[j] * h0
        r01 += along_y[j] * h1
        r10 += along_y[j] * v[j] * h0
        r22 += along_y[j] * (h2 + v[j] ** 2 * h0)
    system[0, 0], system[0, 1], system[0, 2], system[0, 3] = y0 * x0, y0 * x1, y1 * x0, y0 * x2 + y2 * x0
    system[1, 1], system[1, 2], system[1, 3] = y0 * x2, y1 * x1, y0 * x3 + y2 * x1
    system[2, 2], system[2, 3] = y2 * x0, y1 * x2 + y3 * x0
    system[3, 3] = y0 * x4 + 2 * y2 * x2 + y4 * x0
    system[0, 4] = r00 / amplitude - y0 * x0
    system[1, 4] = r01 / amplitude - y0 * x1
    system[2, 4] = r10 / amplitude - y1 * x0
    system[3, 4] = r22 / amplitude - (y0 * x2 + y2 * x0)
    for i in range(4):
        for j in range(i):
            system[i, j] = system[j, i]
        system[i, i] *= 1 + DAMPING


@part
def _eliminate(system: Floats) -> None:
    """Solve (n, n + 1) without pivots, the solution in the last column; not finite where singular."""
    size = len(system)
    for i in range(size):
        pivot = system[i, i]
        for k in range(i, size + 1):
            system[i, k] /= pivot
        for j in range(size):
            if j != i:
                factor = system[j, i]
                for k in range(i, size + 1):
                    system[j, k] -= factor * system[i, k]
