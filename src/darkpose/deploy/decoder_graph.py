"""The decoder as nodes of an ONNX graph: heatmaps -> points in heatmap px, scores and covariances of the peaks.

The results of `codec.dark_torch.decode_torch` in float32. M heatmaps are decoded at once.
"""

from dataclasses import dataclass
from math import nan

import numpy as np

from darkpose.codec.dark import FLOOR, MARGIN, MAX_TRUSTED_STEP, modulation_taps
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
    TERMS,
)
from darkpose.codec.heatmap import Method
from darkpose.deploy.graph_values import Value, columns

LARGEST = float(np.finfo(np.float32).max)
# The cells of the 5x5 neighbourhood that the derivatives use, as (x, y), and the derivatives gx, gy, hxx, hxy, hyy.
CELLS = [(0, -2), (-1, -1), (0, -1), (1, -1), (-2, 0), (-1, 0), (0, 0), (1, 0), (2, 0), (-1, 1), (0, 1), (1, 1), (0, 2)]
DERIVATIVES = (
    {(1, 0): 0.5, (-1, 0): -0.5},
    {(0, 1): 0.5, (0, -1): -0.5},
    {(2, 0): 0.25, (0, 0): -0.5, (-2, 0): 0.25},
    {(1, 1): 0.25, (1, -1): -0.25, (-1, 1): -0.25, (-1, -1): 0.25},
    {(0, 2): 0.25, (0, 0): -0.5, (0, -2): 0.25},
)


@dataclass(frozen=True)
class FoundValues:
    """Landmarks of M heatmaps.

    Attributes:
        points: (M, 2) heatmap px; (-1, -1) where a map has no positive maximum.
        scores: (M,) the maxima.
        covariance: (M, 4) px^2, by rows; NaN where it is not known; None for "argmax" and "quarter".
    """

    points: Value
    scores: Value
    covariance: Value | None


def add_decoder(heatmaps: Value, size: int, method: Method, kernel_size: int) -> FoundValues:
    """Find a landmark in each of the maps (M, size, size)."""
    maps = _Maxima(heatmaps, size)
    cells, covariance, offset = columns(maps.x, maps.y).as_float(), None, None
    if method == "quarter":
        offset = _quarter(maps)
    elif method != "argmax":
        offset, covariance = _dark(maps, kernel_size)
        if method == "dark+":
            offset, covariance = _dark_plus(maps, cells, offset, covariance, kernel_size)
    found = maps.scores.above(0.0).reshape(-1, 1)
    points = cells if offset is None else cells + offset
    known = None if covariance is None else found.choose(covariance, nan)
    return FoundValues(found.choose(points, -1.0), maps.scores, known)


class _Maxima:
    """The maximum of each map: x and y (M,) int64, scores (M,)."""

    def __init__(self, maps: Value, size: int) -> None:
        self.maps, self.size = maps, size
        rows = maps.largest(axis=2)  # (M, H)
        self.y = rows.where_largest()
        zero = Value(maps.graph, maps.graph.constant("zero", np.int64(0)))
        self.numbers = zero.op("Range", self.y.op("Shape").at(0, axis=0), 1)  # (M,) 0, 1, ...
        row = maps.reshape(-1, size).op("Gather", self.numbers * size + self.y, axis=0)  # (M, W)
        self.x, self.scores = row.where_largest(), row.largest()

    def window(self, reach: int) -> Value:
        """(M, n n) cells around the maxima, by rows, 0 outside the map."""
        side = self.size + 2 * reach
        padded = self.maps.op("Pad", np.array([0, reach, reach] * 2, np.int64)).reshape(-1)
        around = np.arange(2 * reach + 1)
        first = (self.numbers * side + self.y) * side + self.x
        return padded.op("Gather", first.reshape(-1, 1) + (around[:, None] * side + around).reshape(1, -1), axis=0)

    def inside(self, before: int, after: int) -> Value:
        """Whether (M,) at least `before` cells come before the maximum and `after` cells after it, on both axes."""
        last = self.size - after
        limits = [each.above(before - 1) for each in (self.x, self.y)] + [each.below(last) for each in (self.x, self.y)]
        return limits[0] & limits[1] & limits[2] & limits[3]

    def there(self, axis: Value, reach: int) -> Value:
        """(M, n) 1 where cells around the maxima along an axis are in the map, else 0."""
        at = axis.reshape(-1, 1) + np.arange(-reach, reach + 1).reshape(1, -1)
        return (at.above(-1) & at.below(self.size)).as_float()


def _quarter(maps: _Maxima) -> Value:
    """(M, 2) offset of a quarter cell towards the higher neighbour on each axis."""
    cells = maps.window(1)
    pairs = ((cells.at(5), cells.at(3)), (cells.at(7), cells.at(1)))
    offset = columns(
        *((after.above(before).as_float() - before.above(after).as_float()) * 0.25 for after, before in pairs)
    )
    return maps.inside(2, 1).reshape(-1, 1).choose(offset, 0.0)


def _dark(maps: _Maxima, kernel_size: int) -> tuple[Value, Value]:
    """The Newton step (M, 2) and the covariance (M, 4)."""
    taps = np.array(modulation_taps(kernel_size))
    bands = np.stack([np.pad(taps, (i, 4 - i)) for i in range(5)])  # taps of the five blurred cells over the window
    blur = np.stack([np.kron(bands[y + 2], bands[x + 2]) for x, y in CELLS], axis=1).astype(np.float32)
    derive = np.array([[each.get(cell, 0) for each in DERIVATIVES] for cell in CELLS], np.float32)
    blurred = (maps.window(len(taps) // 2 + 2) @ blur).op("Max", FLOOR)
    # Relative to the centre, as logarithms near 0 are exact; the derivatives are the same.
    derivatives = (blurred / blurred.at([CELLS.index((0, 0))])).op("Log") @ derive
    gx, gy, hxx, hxy, hyy = (derivatives.at(index) for index in range(len(DERIVATIVES)))
    determinant = hxx * hyy - hxy * hxy
    step = columns(hxy * gy - hyy * gx, hxy * gx - hxx * gy) / determinant.reshape(-1, 1)
    inside = maps.inside(2, 2)
    step = (inside & _finite(step)).reshape(-1, 1).choose(step, 0.0)
    inverse = columns(-hyy, hxy, hxy, -hxx) / determinant.reshape(-1, 1)
    definite = inside & hxx.below(0.0) & determinant.above(0.0)
    return step, definite.reshape(-1, 1).choose(inverse, nan)


def _finite(points: Value) -> Value:
    """Whether (M,) both coordinates (M, 2) are finite."""
    small = points.op("Abs").below(LARGEST)  # not true of NaN
    return small.at(0) & small.at(1)


def _dark_plus(maps: _Maxima, cells: Value, offset: Value, covariance: Value, kernel_size: int) -> tuple[Value, Value]:
    """Step (M, 2) and covariance (M, 4) of DARK where they can be trusted, else those of a Gaussian fit."""
    known = covariance.at(0).op("Abs").below(LARGEST)
    short = _length(offset.at([0]), offset.at([1])).reshape(-1).op("LessOrEqual", MAX_TRUSTED_STEP)
    trusted = (maps.inside(MARGIN, MARGIN) & known & short).reshape(-1, 1)
    fitted, sigma = _fit(maps, cells)
    taps = modulation_taps(kernel_size)
    variance = sigma * sigma + sum(tap * (i - len(taps) // 2) ** 2 for i, tap in enumerate(taps))
    spread = variance @ np.eye(2, dtype=np.float32).reshape(1, 4)
    return trusted.choose(offset, fitted), trusted.choose(covariance, spread)


# Products of the four derivatives, and the residual along them, from the moments: see `codec.gaussian_fit`.
_MOMENTS = np.arange(25).reshape(5, 5)  # index by powers of v and u
_NORMAL = np.zeros((25, 4, 4), np.float32)
for _i, _row in enumerate(TERMS):
    for _j, _terms in enumerate(_row):
        for _p, _q in _terms:
            _NORMAL[_MOMENTS[_p, _q], _i, _j] += 1 + DAMPING * (_i == _j)
_PROJECT = np.zeros((3, 3, 4), np.float32)
for _k, _entries in enumerate([[(0, 0)], [(0, 1)], [(1, 0)], [(0, 2), (2, 0)]]):
    for _p, _q in _entries:
        _PROJECT[_p, _q, _k] = 1


def _fit(maps: _Maxima, cells: Value) -> tuple[Value, Value]:
    """`gaussian_fit.fit_gaussians`: the offset (M, 2) and sigma (M, 1)."""
    n = 2 * REACH + 1
    windows = (maps.window(REACH) / maps.scores.reshape(-1, 1)).reshape(-1, n, n)
    around = np.arange(-REACH, REACH + 1, dtype=np.float32).reshape(1, n)
    there_x, there_y = maps.there(maps.x, REACH), maps.there(maps.y, REACH)
    zero = maps.numbers.as_float().reshape(-1, 1) * 0.0
    x, y, sigma, amplitude = zero, zero, zero + FIRST_SIGMA, zero + 1.0
    for _ in range(STEPS):
        u, v = (-x + around) / sigma, (-y + around) / sigma
        along_x, along_y = ((each * each * -0.5).op("Exp") * there for each, there in ((u, there_x), (v, there_y)))
        sums = (_moments(along_y, v).reshape(-1, 5, 1) * _moments(along_x, u).reshape(-1, 1, 5)).reshape(-1, 25)
        model = sums.at(list(_MOMENTS[:3, :3].ravel())) * amplitude
        residual = _powers(along_y, v) @ windows @ _powers(along_x, u).op("Transpose", perm=[0, 2, 1])
        right = ((residual.reshape(-1, 9) - model) @ _PROJECT.reshape(9, 4)) / amplitude
        step = _solve((sums @ _NORMAL.reshape(25, 16)).reshape(-1, 4, 4), right)
        move_x, move_y = step[1] * sigma, step[2] * sigma
        shorter = _limit(move_x, move_y, MAX_STEP)
        x, y = x + move_x * shorter, y + move_y * shorter
        sigma = sigma * step[3].op("Clip", -0.5, 0.5).op("Exp")
        amplitude = amplitude * (step[0] + 1.0).op("Clip", 0.3, 4.0)
    points = cells + columns(x, y) * _limit(x, y, MAX_DISTANCE)
    offset = points.op("Clip", -MAX_OUTSIDE, maps.size - 1 + MAX_OUTSIDE) - cells
    fits = sigma.above(MIN_SIGMA) & sigma.below(MAX_SIGMA) & _finite(offset).reshape(-1, 1)
    return fits.choose(offset, 0.0), fits.choose(sigma, nan)


def _length(x: Value, y: Value) -> Value:
    return (x * x + y * y).op("Sqrt")


def _limit(x: Value, y: Value, longest: float) -> Value:
    """Factor that makes (x, y) no longer than `longest`."""
    return _length(x, y).op("Max", longest).op("Reciprocal") * longest


def _moments(along: Value, values: Value) -> Value:
    """Sums (M, 5) of squares (M, n) times powers 0 .. 4 of values (M, n)."""
    terms = [along * along]
    for _ in range(4):
        terms.append(terms[-1] * values)
    return columns(*(each.total() for each in terms))


def _powers(along: Value, values: Value) -> Value:
    """(M, 3, n): `along` (M, n) times powers 0 .. 2 of values (M, n)."""
    n = 2 * REACH + 1
    first, *others = (each.reshape(-1, 1, n) for each in (along, along * values, along * values * values))
    return first.op("Concat", *others, axis=1)


def _solve(matrix: Value, right: Value) -> list[Value]:
    """(M, 4, 4) and (M, 4) -> four (M, 1) by elimination without pivots; not finite where singular."""
    joined = matrix.op("Concat", right.reshape(-1, 4, 1), axis=2)
    rows = [joined.at(i) for i in range(4)]
    for i in range(4):
        rows[i] = rows[i] / rows[i].at([i])
        rows = [row if j == i else row - row.at([i]) * rows[i] for j, row in enumerate(rows)]
    return [row.at([4]) for row in rows]
