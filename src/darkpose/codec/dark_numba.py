"""The decoders in one pass over the maps, compiled by Numba: the results of `dark`, several times faster.

* The maximum is found by vector instructions (`maximum_numba`).
* Only the cells around a maximum are blurred, in float64, and of the result only the 13 that the derivatives use; with
  the usual kernel of 11 in vector instructions (`blur_vectors`), else by `blur_numba`.
* The derivatives are logarithms of ratios: 5 logarithms instead of 13.
* Where a cell falls to the clip before the logarithm (`dark.FLOOR`), the whole map is blurred (`blur_numba`).
* Half-precision maps are not copied: only cells around the maximum are converted (`half_precision`).

The maps are shared among threads (`threads`), which run compiled code without Python's lock. No threading layer of
Numba is used, so any number of threads may decode at once, also after a fork.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.blur_numba import blur_stencil_cells, blur_whole_map
from darkpose.codec.blur_vectors import COLUMNS, LANES, ROWS, TAPS, blur_stencil
from darkpose.codec.compiled import array, compile_for, once, part, scalar
from darkpose.codec.dark import FLOOR, MARGIN, MAX_TRUSTED_STEP, Found
from darkpose.codec.gaussian_fit_numba import fit_gaussian
from darkpose.codec.half_precision import Table, number, table_of_numbers
from darkpose.codec.maximum_numba import NOT_A_NUMBER, NOT_POSITIVE, find_maximum, infinities, maximum_below_zero
from darkpose.codec.threads import in_threads

Maps = NDArray[Any]  # of floats, or of whole numbers that hold their bits
Floats = NDArray[np.floating[Any]]

METHODS = ("argmax", "quarter", "dark", "dark+")
QUARTER, DARK, DARK_PLUS = 1, 2, 3
MIN_CELLS_FOR_THREADS = 1 << 22  # starting threads for fewer takes longer than it saves


def decode_maps(maps: NDArray[Any], method: str, taps: NDArray[np.float64], covariance: bool = False) -> Found:
    """Find one landmark in every map, as `dark.decode_maps` does.

    Args:
        maps: (M, H, W) float16, float32 or float64; int16 holds the bits of bfloat16. Copied only where not contiguous.
        method: "argmax", "quarter", "dark" or "dark+".
        taps: the blur's kernel.
        covariance: whether to return it.
    """
    if not (maps.flags.c_contiguous and maps.flags.aligned):
        maps = np.require(maps, requirements=("C", "A"))
    setup, count, code = _setup(maps.dtype.char), len(maps), METHODS.index(method)
    bits: Maps = maps.view(setup.bits)
    stored = maps if setup.table is None else bits
    points: Floats = np.empty((count, 2), setup.result)
    scores: Floats = np.empty(count, setup.result)
    spread: Floats = np.empty((count if covariance else 0, 2, 2), setup.result)

    def work(first: int, last: int) -> None:
        setup.kernel(stored, bits, setup.table, setup.infinity, code, taps, first, last, points, scores, spread)

    if maps.size < MIN_CELLS_FOR_THREADS:
        work(0, count)
    else:
        in_threads(work, count)
    return Found(points, scores, spread if covariance else None)


class _Setup(NamedTuple):
    """What decoding maps of one type needs.

    Attributes:
        kernel: the compiled `_decode_range`.
        table: the numbers of half-precision bits, see `half_precision`.
        infinity: its bits, see `maximum_numba`.
        bits: the type of whole numbers that the maps are read as.
        result: the type of points and scores.
    """

    kernel: Callable[..., None]
    table: Table
    infinity: Maps
    bits: np.dtype[np.signedinteger[Any]]
    result: type[np.floating[Any]]


@cache
def _setup(letter: str) -> _Setup:
    """The setup for a type, by its letter in NumPy; "h" for bfloat16."""
    size = 2 if letter == "h" else np.dtype(letter).itemsize
    table = table_of_numbers(letter) if size == 2 else None
    result = np.float64 if size == 8 else np.float32
    return _Setup(_kernel(size), table, infinities(letter, size), np.dtype(f"i{size}"), result)


@once
def _kernel(size: int) -> Callable[..., None]:
    """The kernel for maps of a type of so many bytes."""
    kind = "float64" if size == 8 else "float32"
    types: list[Any] = [array("int16" if size == 2 else kind, 3), array(f"int{8 * size}", 3)]
    types += [array(kind, 1) if size == 2 else scalar("none"), array(f"uint{8 * size}", 1), scalar("int64")]
    types += [array("float64", 1), scalar("int64"), scalar("int64")]
    types += [array(kind, dimensions, written=True) for dimensions in (2, 1, 3)]
    return compile_for(_decode_range, *types)


# ------------------------------------------------------------------------------------------------- compiled by Numba
# Written for Numba: loops over numbers, working memory allocated once per range. m counts maps.


def _decode_range(
    stored: Maps,
    bits: Maps,
    table: Table,
    infinity: Maps,
    method: int,
    taps: Floats,
    first: int,
    last: int,
    points: Floats,
    scores: Floats,
    spread: Floats,
) -> None:
    """Decode maps first .. last."""
    height, width = stored.shape[1], stored.shape[2]
    flat = bits.reshape(len(bits), height * width)
    room = (len(taps) + 19) // 16 * 16  # of the window, up to a multiple that is vectorised without a remainder
    row, columns, window, blurred = np.zeros(room), np.zeros((5, room)), np.zeros((ROWS, COLUMNS)), np.zeros((5, LANES))
    variance = 0.0  # of the blur
    for i in range(len(taps)):
        variance += taps[i] * (i - len(taps) // 2) ** 2
    for m in range(first, last):
        if len(spread):
            spread[m] = np.nan
        best = find_maximum(flat[m], infinity)
        if best == NOT_A_NUMBER:
            points[m], scores[m] = -1, np.nan
            continue
        if best == NOT_POSITIVE:
            points[m], scores[m] = -1, maximum_below_zero(stored[m], table)
            continue
        y, x = best // width, best % width
        points[m, 0], points[m, 1], scores[m] = x, y, number(stored[m, y, x], table)
        if method == QUARTER:
            if 1 < x < width - 1 and 1 < y < height - 1:
                points[m, 0] += _quarter(stored[m, y, x - 1], stored[m, y, x + 1], table)
                points[m, 1] += _quarter(stored[m, y - 1, x], stored[m, y + 1, x], table)
        elif method >= DARK:
            dx, dy, xx, xy, yy = 0.0, 0.0, np.nan, np.nan, np.nan
            if 2 <= x < width - 2 and 2 <= y < height - 2:
                _blur(stored[m], table, x, y, taps, window, row, columns, blurred)
                if not _is_above_floor(blurred):
                    blur_whole_map(stored[m], table, x, y, taps, scores[m], blurred)
                dx, dy, xx, xy, yy = _newton_step(blurred)
            inside = min(x, y, width - 1 - x, height - 1 - y) >= MARGIN
            trusted = inside and not np.isnan(xx) and np.hypot(dx, dy) <= MAX_TRUSTED_STEP
            if method == DARK_PLUS and not trusted:
                dx, dy, sigma = fit_gaussian(stored[m], table, x, y, scores[m])
                xx, xy, yy = sigma**2 + variance, 0.0 * sigma, sigma**2 + variance
            points[m, 0], points[m, 1] = x + dx, y + dy
            if len(spread):
                spread[m, 0, 0], spread[m, 1, 1] = xx, yy
                spread[m, 0, 1] = spread[m, 1, 0] = xy


@part
def _quarter(before: float, after: float, table: Table) -> float:
    """A quarter of a cell towards the higher neighbour."""
    offset = 0.0
    if number(after, table) > number(before, table):
        offset = 0.25
    elif number(after, table) < number(before, table):
        offset = -0.25
    return offset


@part
def _blur(
    stored: Maps,
    table: Table,
    x: int,
    y: int,
    taps: Floats,
    window: Floats,
    row: Floats,
    columns: Floats,
    out: Floats,
) -> None:
    """Fill the 13 cells of `out` (5, LANES) that the derivatives use with the blurred map around (x, y)."""
    left, top = x - ROWS // 2, y - ROWS // 2
    inside = min(left, top) >= 0 and left + COLUMNS <= stored.shape[1] and top + ROWS <= stored.shape[0]
    if len(taps) != TAPS:
        blur_stencil_cells(stored, table, x, y, taps, row, columns, out)
    elif inside and table is None:
        blur_stencil(stored, top, left, taps, out)
    else:
        _copy_window(stored, table, left, top, window)
        blur_stencil(window, 0, 0, taps, out)


@part
def _copy_window(stored: Maps, table: Table, left: int, top: int, out: Floats) -> None:
    """Fill `out` (ROWS, COLUMNS) with the cells of the map from row `top` and column `left` on, 0 outside the map."""
    out[:] = 0.0
    for j in range(max(0, -top), min(ROWS, stored.shape[0] - top)):
        cells, into = stored[top + j, max(0, left) : left + COLUMNS], out[j, max(0, -left) :]
        for i in range(len(cells)):
            into[i] = number(cells[i], table)


@part
def _is_above_floor(blurred: Floats) -> bool:
    """Whether all cells that the derivatives use exceed the clip."""
    above = True
    for dy in range(5):
        for dx in range(abs(dy - 2), 5 - abs(dy - 2)):
            above &= blurred[dy, dx] > FLOOR
    return above


@part
def _newton_step(blurred: Floats) -> tuple[float, float, float, float, float]:
    """The step (x, y), 0 where not finite, and -H^-1 (xx, xy, yy), NaN where not positive definite."""
    centre = blurred[2, 2]
    gx, gy = 0.5 * np.log(blurred[2, 3] / blurred[2, 1]), 0.5 * np.log(blurred[3, 2] / blurred[1, 2])
    hxx = 0.25 * np.log((blurred[2, 4] / centre) * (blurred[2, 0] / centre))
    hyy = 0.25 * np.log((blurred[4, 2] / centre) * (blurred[0, 2] / centre))
    hxy = 0.25 * np.log((blurred[3, 3] / blurred[1, 3]) * (blurred[1, 1] / blurred[3, 1]))
    determinant = hxx * hyy - hxy * hxy
    dx, dy = (hxy * gy - hyy * gx) / determinant, (hxy * gx - hxx * gy) / determinant
    if not (np.isfinite(dx) and np.isfinite(dy)):
        dx = dy = 0.0
    xx, xy, yy = -hyy / determinant, hxy / determinant, -hxx / determinant
    if not (hxx < 0 and determinant > 0 and np.isfinite(xx) and np.isfinite(xy) and np.isfinite(yy)):
        xx = xy = yy = np.nan
    return dx, dy, xx, xy, yy
