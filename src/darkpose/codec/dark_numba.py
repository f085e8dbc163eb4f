"""The decoders in one pass over the maps, compiled by Numba: what `dark_numpy` gives, several times faster.

How it is done:

* A maximum is looked for among the bits of the numbers, read as whole numbers: positive floats are ordered as their
  bits are, all of them above the negative ones, and vector instructions find the highest of whole numbers (`highest`).
  A NaN has bits above infinity's; one with its sign bit set is found by comparing without sign. So float16 and bfloat16
  maps need no copy of a wider type: only cells around the maximum are converted, by a table.
* Only the cells around a maximum are blurred, in float64, and of the result only the 13 that the derivatives use. With
  the kernel of 11 this is done in vector instructions (`blur_vectors`).
* While a maximum of many maps is worked on, the next map is already on its way from memory (`prefetch`).
* The derivatives are logarithms of ratios: 5 logarithms in place of 13.
* Where a cell falls to the clip before the logarithm (`dark_numpy.FLOOR`), the whole map is blurred (`weak_maps`).

The maps are shared among threads (`threads`); a thread runs compiled code without Python's lock. So no threading layer
of Numba is used, and any number of threads may decode, also after a fork.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.blur_vectors import COLUMNS, LANES, ROWS, TAPS, blur_stencil
from darkpose.codec.compiled import array, compile_for, once, part, scalar
from darkpose.codec.dark import FLOOR, MARGIN, TRUSTED, Found
from darkpose.codec.full_map_blur import clip_scaled
from darkpose.codec.gaussian_fit import DAMPING, FARTHEST, LONGEST, OUTSIDE, REACH, SIGMAS, START, STEPS
from darkpose.codec.highest import BLOCK, highest
from darkpose.codec.prefetch import LINE, prefetch
from darkpose.codec.threads import in_threads

Maps = NDArray[Any]  # of floats, or of whole numbers that hold their bits
Floats = NDArray[np.floating[Any]]
Table = NDArray[np.float32] | None

METHODS = ("argmax", "quarter", "dark", "dark+")
QUARTER, DARK, DARK_PLUS = 1, 2, 3
ALONE = 1 << 22  # cells: fewer are not worth waking threads for
AHEAD = 1 << 14  # bytes of the next map that are asked for; what follows, the processor guesses
NEAR = 1 << 21  # bytes: fewer are taken to lie in the cache already, where asking costs more than it brings
SMALLEST, LARGEST = SIGMAS
INFINITY = {"e": 0x7C00, "h": 0x7F80, "f": 0x7F80_0000, "d": 0x7FF0_0000_0000_0000}  # bits, by the type's letter


def decode_maps(maps: NDArray[Any], method: str, taps: NDArray[np.float64], covariance: bool = False) -> Found:
    """Find one landmark in every map, as `dark_numpy.decode_maps` does.

    Args:
        maps: (M, H, W) float16, float32 or float64; int16 holds the bits of bfloat16. Copied only where not contiguous.
        method: "argmax", "quarter", "dark" or "dark+".
        taps: the blur's kernel.
        covariance: whether to give it.
    """
    if not (maps.flags.c_contiguous and maps.flags.aligned):
        maps = np.require(maps, requirements=("C", "A"))
    kernel, table, whole, kind, infinity, lowest = _setup(maps.dtype.char)
    count, code, ahead = len(maps), METHODS.index(method), AHEAD if maps.nbytes > NEAR else 0
    bits: Maps = maps.view(whole)
    stored = maps if table is None else bits
    points: Floats = np.empty((count, 2), kind)
    scores: Floats = np.empty(count, kind)
    spread: Floats = np.empty((count if covariance else 0, 2, 2), kind)

    def work(first: int, last: int) -> None:
        kernel(stored, bits, table, infinity, lowest, code, taps, ahead, first, last, points, scores, spread)

    if maps.size < ALONE:
        work(0, count)
    else:
        in_threads(work, count)
    return Found(points, scores, spread if covariance else None)


class _Setup(NamedTuple):
    """What decoding maps of one type needs: see the kernel's arguments; `whole` is the type of their bits."""

    kernel: Callable[..., None]
    table: Table
    whole: np.dtype[np.signedinteger[Any]]
    kind: type[np.floating[Any]]
    infinity: int
    lowest: Maps


@cache
def _setup(letter: str) -> _Setup:
    size = 2 if letter == "h" else np.dtype(letter).itemsize
    lowest = np.array([INFINITY[letter] | 1 << (8 * size - 1)], f"u{size}")
    kind = np.float64 if size == 8 else np.float32
    table = _table(letter) if size == 2 else None
    return _Setup(_kernel(size), table, np.dtype(f"i{size}"), kind, INFINITY[letter], lowest)


def _table(letter: str) -> NDArray[np.float32]:
    """(65536,) the numbers of all half-precision bits; a negative index finds those with the sign bit."""
    bits = np.arange(1 << 16, dtype=np.uint32)
    if letter == "e":
        return bits.astype(np.uint16).view(np.float16).astype(np.float32)
    return (bits << 16).view(np.float32)


@once
def _kernel(size: int) -> Callable[..., None]:
    """The kernel for maps of a type of so many bytes."""
    kind = "float64" if size == 8 else "float32"
    return compile_for(
        _decode_range,
        array("int16" if size == 2 else kind, 3),
        array(f"int{8 * size}", 3),
        array(kind, 1) if size == 2 else scalar("none"),
        *(scalar("int64"), array(f"uint{8 * size}", 1), scalar("int64"), array("float64", 1)),
        *(scalar("int64"), scalar("int64"), scalar("int64")),
        *(array(kind, 2, written=True), array(kind, 1, written=True)),
        array(kind, 3, written=True),
    )


# ------------------------------------------------------------------------------------------------- compiled by Numba
# Written for Numba: loops over numbers, scratch arrays made once per range. m counts maps. Constants of other modules
# are compiled in, and kept code is made anew when this file changes, not theirs: who changes one, or `blur_vectors`,
# `highest`, `prefetch` or `weak_maps`, changes this file too.


def _decode_range(
    stored: Maps,
    bits: Maps,
    table: Table,
    infinity: int,
    lowest: Maps,
    method: int,
    taps: Floats,
    ahead: int,
    first: int,
    last: int,
    points: Floats,
    scores: Floats,
    spread: Floats,
) -> None:
    """Decode maps first .. last."""
    height, width = stored.shape[1], stored.shape[2]
    wide = (len(taps) + 19) // 16 * 16  # the window, up to a multiple that is vectorised without a remainder
    row, columns, blurred = np.zeros(wide), np.zeros((5, wide)), np.zeros((5, LANES))
    padded, cells = np.zeros((ROWS, COLUMNS)), bits.reshape(len(bits), height * width)
    newton, fit, system = np.zeros(5), np.zeros(3), np.zeros((4, 5))
    window, lines = np.zeros((2 * REACH + 1, 2 * REACH + 1)), np.zeros((4, 2 * REACH + 1))
    u, v, along_x, along_y = lines[0], lines[1], lines[2], lines[3]
    variance = 0.0
    for i in range(len(taps)):
        variance += taps[i] * (i - len(taps) // 2) ** 2
    for m in range(first, last):
        if len(spread):
            spread[m] = np.nan
        best = _highest(cells[m], infinity, lowest)
        if ahead and m + 1 < last:
            _ask_for(cells, m + 1, ahead)
        if best == NOT_A_NUMBER:
            points[m], scores[m] = -1, np.nan
            continue
        if best == NOT_POSITIVE:
            points[m], scores[m] = -1, _highest_of_low(stored[m], table)
            continue
        y, x = best // width, best % width
        points[m, 0], points[m, 1], scores[m] = x, y, _value(stored[m, y, x], table)
        if method == QUARTER:
            if 1 < x < width - 1 and 1 < y < height - 1:
                points[m, 0] += _quarter(stored[m, y, x - 1], stored[m, y, x + 1], table)
                points[m, 1] += _quarter(stored[m, y - 1, x], stored[m, y + 1, x], table)
        elif method >= DARK:
            stepped = 2 <= x < width - 2 and 2 <= y < height - 2
            if stepped:
                left, top = x - ROWS // 2, y - ROWS // 2
                inside = min(left, top) >= 0 and left + COLUMNS <= width and top + ROWS <= height
                if len(taps) != TAPS:
                    _blur(stored[m], table, x, y, taps, row, columns, blurred)
                elif inside and table is None:
                    blur_stencil(stored[m], top, left, taps, blurred)
                else:
                    _cut_out(stored[m], table, left, top, inside, padded)
                    blur_stencil(padded, 0, 0, taps, blurred)
                if not _above_clip(blurred):
                    clip_scaled(_as_doubles(stored[m], table), x, y, taps, scores[m], blurred)
                _newton(blurred, newton)
            trusted = method == DARK or (
                stepped
                and min(x, y, width - 1 - x, height - 1 - y) >= MARGIN
                and not np.isnan(newton[2])
                and np.hypot(newton[0], newton[1]) <= TRUSTED
            )
            if not trusted:
                _fit(stored[m], table, x, y, scores[m], window, u, v, along_x, along_y, system, fit)
                newton[0], newton[1], stepped = fit[0], fit[1], True
                newton[2], newton[3], newton[4] = fit[2] ** 2 + variance, 0.0 * fit[2], fit[2] ** 2 + variance
            if stepped:
                points[m, 0], points[m, 1] = x + newton[0], y + newton[1]
                if len(spread):
                    spread[m, 0, 0], spread[m, 1, 1] = newton[2], newton[4]
                    spread[m, 0, 1] = spread[m, 1, 0] = newton[3]


NOT_POSITIVE, NOT_A_NUMBER = -1, -2


@part
def _ask_for(cells: Maps, m: int, ahead: int) -> None:
    """Have so many bytes of map m brought near while the one before it is worked on."""
    size = cells.shape[1]
    for i in range(0, min(size, ahead // cells.itemsize), LINE // cells.itemsize):
        prefetch(cells, m * size + i)


@part
def _highest(bits: Maps, infinity: int, lowest: Maps) -> int:
    """Index of the first positive maximum of one map, or NOT_POSITIVE or NOT_A_NUMBER."""
    kind = lowest.dtype.type  # without sign
    top, widest, at = bits[0], kind(bits[0]), 0
    per_block = BLOCK // bits.itemsize
    blocks = len(bits) // per_block
    if blocks:
        top, widest, at = highest(bits, blocks)
    for i in range(blocks * per_block, len(bits)):
        widest = max(widest, kind(bits[i]))
        at = i if bits[i] > top else at
        top = max(top, bits[i])
    if top > infinity or widest > lowest[0]:
        return NOT_A_NUMBER
    if top <= 0:
        return NOT_POSITIVE
    return at


@part
def _highest_of_low(stored: Maps, table: Table) -> float:
    """The first maximum of a map without a positive value."""
    best: float = _value(stored[0, 0], table)
    for y in range(stored.shape[0]):
        for x in range(stored.shape[1]):
            if _value(stored[y, x], table) > best:
                best = _value(stored[y, x], table)
    return best


@part
def _value(stored: Any, table: Table) -> Any:
    if table is None:
        return stored
    return table[stored]


@part
def _quarter(before: float, after: float, table: Table) -> float:
    difference = 0.0
    if _value(after, table) > _value(before, table):
        difference = 0.25
    elif _value(after, table) < _value(before, table):
        difference = -0.25
    return difference


@part
def _blur(stored: Maps, table: Table, x: int, y: int, taps: Floats, row: Floats, columns: Floats, out: Floats) -> None:
    """Fill the 13 cells of `out` (5, 5 or more) that the derivatives use with the blurred map around (x, y)."""
    size, reach = len(taps), len(taps) // 2
    left, right = max(0, x - 2 - reach), min(stored.shape[1], x + 3 + reach)
    top, bottom = max(0, y - 2 - reach), min(stored.shape[0], y + 3 + reach)
    columns[:] = 0.0
    for j in range(top, bottom):
        cells = stored[j, left:right]
        for i in range(len(cells)):
            row[i] = _value(cells[i], table)
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
def _cut_out(stored: Maps, table: Table, left: int, top: int, inside: bool, out: Floats) -> None:
    """Fill `out` (ROWS, COLUMNS) with the map's cells from row `top` and column `left` on, 0 beyond the map."""
    if not inside:
        out[:] = 0.0
    for j in range(max(0, -top), min(ROWS, stored.shape[0] - top)):
        cells, into = stored[top + j, max(0, left) : left + COLUMNS], out[j, max(0, -left) :]
        for i in range(len(cells)):
            into[i] = _value(cells[i], table)


@part
def _above_clip(blurred: Floats) -> bool:
    """Whether all cells that the derivatives use exceed the clip."""
    above = True
    for dy in range(5):
        for dx in range(abs(dy - 2), 5 - abs(dy - 2)):
            above &= blurred[dy, dx] > FLOOR
    return above


@part
def _as_doubles(stored: Maps, table: Table) -> Floats:
    """A map (H, W) in float64."""
    cells = np.empty(stored.shape)
    for y in range(stored.shape[0]):
        for x in range(stored.shape[1]):
            cells[y, x] = _value(stored[y, x], table)
    return cells


@part
def _newton(blurred: Floats, out: Floats) -> None:
    """Fill `out` with the step (x, y), 0 where not finite, and -H^-1 (xx, xy, yy), NaN where not positive definite."""
    centre = blurred[2, 2]
    gx, gy = 0.5 * np.log(blurred[2, 3] / blurred[2, 1]), 0.5 * np.log(blurred[3, 2] / blurred[1, 2])
    hxx = 0.25 * np.log((blurred[2, 4] / centre) * (blurred[2, 0] / centre))
    hyy = 0.25 * np.log((blurred[4, 2] / centre) * (blurred[0, 2] / centre))
    hxy = 0.25 * np.log((blurred[3, 3] / blurred[1, 3]) * (blurred[1, 1] / blurred[3, 1]))
    determinant = hxx * hyy - hxy * hxy
    out[0], out[1] = (hxy * gy - hyy * gx) / determinant, (hxy * gx - hxx * gy) / determinant
    if not (np.isfinite(out[0]) and np.isfinite(out[1])):
        out[0] = out[1] = 0.0
    out[2], out[3], out[4] = -hyy / determinant, hxy / determinant, -hxx / determinant
    if not (hxx < 0 and determinant > 0 and np.isfinite(out[2]) and np.isfinite(out[3]) and np.isfinite(out[4])):
        out[2:] = np.nan


@part
def _fit(
    stored: Maps,
    table: Table,
    x: int,
    y: int,
    score: float,
    window: Floats,
    u: Floats,
    v: Floats,
    along_x: Floats,
    along_y: Floats,
    system: Floats,
    out: Floats,
) -> None:
    """Fill `out` with the offset (x, y) and sigma of `gaussian_fit.fit_gaussians`, (0, 0, NaN) where none fits."""
    height, width = stored.shape
    left, right = max(0, x - REACH), min(width, x + REACH + 1)
    top, bottom = max(0, y - REACH), min(height, y + REACH + 1)
    for j in range(top, bottom):
        for i in range(left, right):
            window[j - top, i - left] = _value(stored[j, i], table) / np.float64(score)
    amplitude, sigma, cx, cy = 1.0, START, 0.0, 0.0
    for _ in range(STEPS):
        for i in range(right - left):
            u[i] = (left + i - x - cx) / sigma
            along_x[i] = np.exp(-0.5 * u[i] * u[i])
        for j in range(bottom - top):
            v[j] = (top + j - y - cy) / sigma
            along_y[j] = np.exp(-0.5 * v[j] * v[j])
        _normal_equations(window, u[: right - left], v[: bottom - top], along_x, along_y, amplitude, system)
        _eliminate(system)
        move_x, move_y = system[1, 4] * sigma, system[2, 4] * sigma
        shorter = LONGEST / max(np.hypot(move_x, move_y), LONGEST)
        cx += move_x * shorter
        cy += move_y * shorter
        sigma *= np.exp(min(max(system[3, 4], -0.5), 0.5))
        amplitude *= min(max(1 + system[0, 4], 0.3), 4.0)
    shorter = FARTHEST / max(np.hypot(cx, cy), FARTHEST)
    out[0] = min(max(x + cx * shorter, -OUTSIDE), width - 1 + OUTSIDE) - x
    out[1] = min(max(y + cy * shorter, -OUTSIDE), height - 1 + OUTSIDE) - y
    out[2] = sigma
    if not (SMALLEST < sigma < LARGEST and np.isfinite(cx) and np.isfinite(cy)):
        out[0], out[1], out[2] = 0.0, 0.0, np.nan


@part
def _normal_equations(
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
