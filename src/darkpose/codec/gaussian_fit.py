"""Fit a Gaussian to the cells around a maximum: what "dark+" does where a Newton step cannot be trusted.

The blur and the finite differences of DARK need cells on all sides. A least-squares fit uses the cells that exist: it
stays correct next to a border, and finds a peak up to 2 px beyond it.

Method: Levenberg-Marquardt on amplitude, centre and standard deviation, in the units of the current estimate: with
u = (x - cx) / sigma, v = (y - cy) / sigma and m = a exp(-(u^2 + v^2) / 2), the derivatives of m by (da/a, dcx/sigma,
dcy/sigma, dsigma/sigma) are m (1, u, v, u^2 + v^2). As m is a product of a function of x and one of y, all sums over
cells are products of sums along one axis.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

REACH = 7  # cells of the window on either side of the maximum
STEPS = 5
FIRST_SIGMA = 2.0  # px
DAMPING = 0.001  # of the diagonal of the normal equations
MAX_STEP = 1.0  # px, of the centre
MIN_SIGMA, MAX_SIGMA = 0.5, 8.0  # px; outside them a fit is not used: narrower than a cell, wider than the window
MAX_DISTANCE = 3.0  # px from the maximum: a peak 2 px beyond a corner
MAX_OUTSIDE = 2.0  # px beyond the border


class Fit(NamedTuple):
    """Gaussians around M maxima.

    Attributes:
        offset: (M, 2) px from the maximum, at most `MAX_DISTANCE` long and `MAX_OUTSIDE` beyond the border; 0 where
            none fits.
        sigma: (M,) px; NaN where none fits.
    """

    offset: NDArray[np.float64]
    sigma: NDArray[np.float64]


@np.errstate(all="ignore")  # what is not finite is no fit
def fit_gaussians(maps: Floats, cells: NDArray[np.intp], scores: Floats) -> Fit:
    """Fit one Gaussian to each map around its maximum.

    Args:
        maps: (M, H, W).
        cells: (M, 2), the maxima as (x, y).
        scores: (M,), their values, positive.

    Returns:
        `Fit` in heatmap px.
    """
    height, width = maps.shape[1:]
    around = np.arange(-REACH, REACH + 1)
    x, y = cells[:, 0, None] + around, cells[:, 1, None] + around
    rows, columns = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    windows = maps[np.arange(len(maps))[:, None, None], rows[:, :, None], columns[:, None, :]].astype(np.float64)
    windows /= scores.astype(np.float64)[:, None, None]
    there_x, there_y = (x >= 0) & (x < width), (y >= 0) & (y < height)
    amplitude, sigma, centre = np.ones(len(maps)), np.full(len(maps), FIRST_SIGMA), np.zeros((len(maps), 2))
    for _ in range(STEPS):
        u = (around - centre[:, :1]) / sigma[:, None]
        v = (around - centre[:, 1:]) / sigma[:, None]
        along_x, along_y = there_x * np.exp(-0.5 * u * u), there_y * np.exp(-0.5 * v * v)
        sx, sy = _moments(along_x * along_x, u, 4), _moments(along_y * along_y, v, 4)
        powers_x, powers_y = along_x[:, :, None] * _powers(u, 2), along_y[:, :, None] * _powers(v, 2)
        residual = powers_y.transpose(0, 2, 1) @ windows @ powers_x
        residual -= amplitude[:, None, None] * sy[:, :3, None] * sx[:, None, :3]
        step = _solve(_normal_matrix(sx, sy), _project(residual) / amplitude[:, None])
        move = step[:, 1:3] * sigma[:, None]
        length = np.hypot(move[:, 0], move[:, 1])
        centre += move * (MAX_STEP / np.maximum(length, MAX_STEP))[:, None]
        sigma *= np.exp(np.clip(step[:, 3], -0.5, 0.5))
        amplitude *= np.clip(1 + step[:, 0], 0.3, 4.0)
    length = np.hypot(centre[:, 0], centre[:, 1])
    offset = centre * (MAX_DISTANCE / np.maximum(length, MAX_DISTANCE))[:, None]
    last = np.array([width - 1, height - 1])
    offset = np.clip(cells + offset, -MAX_OUTSIDE, last + MAX_OUTSIDE) - cells
    fits = (sigma > MIN_SIGMA) & (sigma < MAX_SIGMA) & np.isfinite(offset).all(axis=1)
    return Fit(np.where(fits[:, None], offset, 0), np.where(fits, sigma, np.nan))


def _powers(values: NDArray[np.float64], highest: int) -> NDArray[np.float64]:
    """(M, n) -> (M, n, highest + 1)."""
    powers = np.ones((*values.shape, highest + 1))
    for power in range(highest):
        np.multiply(powers[..., power], values, out=powers[..., power + 1])
    return powers


def _moments(weights: NDArray[np.float64], values: NDArray[np.float64], highest: int) -> NDArray[np.float64]:
    """Sums (M, highest + 1) of weights (M, n) times powers of values (M, n)."""
    return np.asarray((weights[:, None, :] @ _powers(values, highest))[:, 0])


def _project(moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Moments (M, 3, 3) by powers of v and u -> (M, 4) along the four derivatives."""
    return np.stack([moments[:, 0, 0], moments[:, 0, 1], moments[:, 1, 0], moments[:, 0, 2] + moments[:, 2, 0]], 1)


def _normal_matrix(sx: NDArray[np.float64], sy: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, 4, 4) products of the derivatives, damped, from moments (M, 5) along either axis."""
    sums = sy[:, :, None] * sx[:, None, :]  # [by power of v, by power of u]
    matrix = np.empty((len(sx), 4, 4))
    for i, row in enumerate(TERMS):
        for j, terms in enumerate(row):
            matrix[:, i, j] = sum(sums[:, p, q] for p, q in terms)
    matrix[:, range(4), range(4)] *= 1 + DAMPING
    return matrix


# The four derivatives as sums of v^p u^q, and their products.
_DERIVATIVES = [[(0, 0)], [(0, 1)], [(1, 0)], [(0, 2), (2, 0)]]
TERMS = [[[(a + c, b + d) for a, b in one for c, d in other] for other in _DERIVATIVES] for one in _DERIVATIVES]


def _solve(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M, n, n) positive definite and (M, n) -> (M, n); not finite where a matrix is singular.

    By elimination without pivots, as `numpy.linalg.solve` refuses all for a single one.
    """
    rows = np.concatenate([matrix, right[:, :, None]], axis=2)
    size = right.shape[1]
    for i in range(size):
        rows[:, i] /= rows[:, i, i, None]
        for j in range(size):
            if j != i:
                rows[:, j] -= rows[:, j, i, None] * rows[:, i]
    return rows[:, :, size]
