"""The decoders in NumPy, and the reference for the faster ones.

Source: "Distribution-Aware Coordinate Representation for Human Pose Estimation" (see `heatmap`), section 3.2. The cells
around a maximum are blurred and fitted in float64 for maps of every type.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.gaussian_fit import fit_gaussians
from darkpose.errors import DarkposeError

Floats = NDArray[np.floating[Any]]
Cells = NDArray[np.intp]

FLOOR = 1e-10  # blurred values are clipped here before the logarithm, as in the reference
MARGIN = 4  # cells from the border: nearer to it, "dark+" fits a Gaussian
MAX_TRUSTED_STEP = 1.0  # px: instead of a longer Newton step, "dark+" fits a Gaussian


class Found(NamedTuple):
    """Landmarks of M maps, in heatmap px.

    Attributes:
        points: (M, 2) of the type of the maps, at least float32; (-1, -1) where a map has no positive maximum or has a
            NaN.
        scores: (M,) of that type; NaN where a map holds one.
        covariance: (M, 2, 2) of that type, px^2, NaN where it is not known; None if not asked for.
    """

    points: Floats
    scores: Floats
    covariance: Floats | None = None


def decode_maps(maps: Floats, method: str, taps: NDArray[np.float64], covariance: bool = False) -> Found:
    """Find one landmark in every map (M, H, W); see `heatmap.decode`. `taps` is the kernel of the blur."""
    maps = np.ascontiguousarray(maps, dtype=np.result_type(maps, np.float32))
    cells, scores = find_maxima(maps)
    if method == "argmax":
        return Found(cells.astype(maps.dtype), scores)
    if method == "quarter":
        return Found((cells + quarter_offset(maps, cells)).astype(maps.dtype), scores)
    refine = dark_offset if method == "dark" else dark_plus_offset
    offset, spread = refine(maps, cells, scores, taps)
    return Found((cells + offset).astype(maps.dtype), scores, spread.astype(maps.dtype) if covariance else None)


def find_maxima(maps: Floats) -> tuple[Cells, Floats]:
    """(M, H, W) -> cells (M, 2) as (x, y), the first of equal ones, (-1, -1) without a positive one; scores (M,)."""
    flat = maps.reshape(len(maps), maps.shape[1] * maps.shape[2])
    best = flat.argmax(axis=1)  # the first NaN, if there is one
    scores = flat[np.arange(len(flat)), best]
    y, x = np.divmod(best, maps.shape[2])
    cells = np.stack([x, y], axis=1)
    cells[~(scores > 0)] = -1
    return cells, scores


def _interior(cells: Cells, shape: tuple[int, ...], before: int, after: int) -> Cells:
    """Indices of maps with at least `before` cells before the maximum and `after` cells after it, along both axes."""
    limits = np.array([shape[2], shape[1]]) - after
    return np.flatnonzero(((cells >= before) & (cells < limits)).all(axis=1))


def quarter_offset(maps: Floats, cells: Cells) -> Floats:
    """(M, 2) offset of a quarter cell towards the higher neighbour on each axis."""
    offset = np.zeros((len(maps), 2), maps.dtype)
    m = _interior(cells, maps.shape, before=2, after=1)  # the reference tests 1 < x < W-1
    x, y = cells[m].T
    for axis, (dx, dy) in enumerate(((1, 0), (0, 1))):
        after, before = maps[m, y + dy, x + dx], maps[m, y - dy, x - dx]
        offset[m, axis] = 0.25 * (after > before) - 0.25 * (after < before)  # infinities compare, but do not subtract
    return offset


@np.errstate(divide="ignore", over="ignore", invalid="ignore")  # values that are not finite give no step
def dark_offset(
    maps: Floats, cells: Cells, scores: Floats, taps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The Newton step on the logarithm of the blurred maps, from the cell of the maximum, and the covariance there.

    Only the 5x5 neighbourhood of the maximum is blurred. The reference scales the blurred map to its old maximum, a
    constant under the logarithm, and clips it at `FLOOR`: where a blurred value of the stencil does not exceed the
    clip, the factor matters, and the whole map is blurred.

    Returns:
        (M, 2) px, 0 where the step is not finite or the maximum is in the two outer rows or columns; and (M, 2, 2)
        px^2, the inverse of minus the Hessian, NaN where that is not positive definite.
    """
    offset, covariance = np.zeros((len(maps), 2)), np.full((len(maps), 2, 2), np.nan)
    m = _interior(cells, maps.shape, before=2, after=2)
    blurred = _blur_neighbourhoods(maps, m, cells[m], taps)
    low = np.flatnonzero(~(blurred.reshape(len(m), 25)[:, _STENCIL] > FLOOR).all(axis=1))
    if low.size:
        blurred[low] = _modulate_whole_maps(maps[m[low]], cells[m[low]], scores[m[low]], taps)
    offset[m], covariance[m] = _newton_step(np.log(np.maximum(blurred, FLOOR)))
    return offset, covariance


def dark_plus_offset(
    maps: Floats, cells: Cells, scores: Floats, taps: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`dark_offset` where its step can be trusted, else a Gaussian fit, else no step.

    Trusted: the maximum is `MARGIN` cells inside, the Hessian negative definite, and the step at most
    `MAX_TRUSTED_STEP`. The covariance of a fit is its variance plus the blur's, as DARK's Hessian gives for that
    Gaussian.
    """
    offset, covariance = dark_offset(maps, cells, scores, taps)
    trusted = np.zeros(len(maps), bool)
    trusted[_interior(cells, maps.shape, before=MARGIN, after=MARGIN)] = True
    trusted &= np.isfinite(covariance[:, 0, 0]) & (np.hypot(offset[:, 0], offset[:, 1]) <= MAX_TRUSTED_STEP)
    m = np.flatnonzero(~trusted & (scores > 0))
    fit = fit_gaussians(maps[m], cells[m], scores[m])
    offset[m] = fit.offset
    covariance[m] = (fit.sigma**2 + blur_variance(taps))[:, None, None] * np.eye(2)
    return offset, covariance


# Cells of the flattened 5x5 neighbourhood that the derivatives use.
_STENCIL = np.array([2, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 22])


def _blur_neighbourhoods(maps: Floats, index: Cells, cells: Cells, taps: NDArray[np.float64]) -> Floats:
    """(M, 5, 5) values around `cells` of the zero-padded, blurred maps `maps[index]`."""
    reach = len(taps) // 2 + 2
    bands = np.stack([np.pad(taps, (i, 4 - i)) for i in range(5)])  # taps of the five blurred cells over the window
    whole = _interior(cells, maps.shape, before=reach, after=reach)
    blurred = np.empty((len(cells), 5, 5))
    if whole.size:  # windows inside their maps
        x, y = (cells[whole] - reach).T
        windows = np.lib.stride_tricks.sliding_window_view(maps, bands.shape[1:] * 2, axis=(1, 2))[index[whole], y, x]
        windows = windows.reshape(len(whole), bands.shape[1] ** 2).astype(np.float64)
        # One product for each window: of all at once, BLAS would sum in an order that depends on their number.
        blurred[whole] = (windows[:, None] @ np.kron(bands, bands).T).reshape(-1, 5, 5)
    cut = np.ones(len(cells), bool)
    cut[whole] = False
    blurred[cut] = _blur_cut_windows(maps, index[cut], cells[cut], bands)
    return blurred


def _blur_cut_windows(maps: Floats, index: Cells, cells: Cells, bands: NDArray[np.float64]) -> Floats:
    """`_blur_neighbourhoods` where the window leaves the map: there the taps are 0."""
    height, width = maps.shape[1:]
    reach = bands.shape[1] // 2
    around = np.arange(-reach, reach + 1)
    x, y = cells[:, 0, None] + around, cells[:, 1, None] + around
    windows = maps[index[:, None, None], np.clip(y, 0, height - 1)[:, :, None], np.clip(x, 0, width - 1)[:, None, :]]
    along_x = bands * ((x >= 0) & (x < width))[:, None, :]
    along_y = bands * ((y >= 0) & (y < height))[:, None, :]
    return np.asarray(along_y @ windows.astype(np.float64) @ along_x.transpose(0, 2, 1))


def _modulate_whole_maps(maps: Floats, cells: Cells, scores: Floats, taps: NDArray[np.float64]) -> Floats:
    """(M, 5, 5) values around `cells` of the blurred maps, scaled so that each map keeps its maximum."""
    reach = len(taps) // 2
    for axis in (1, 2):
        pad = [(0, 0), (0, 0), (0, 0)]
        pad[axis] = (reach, reach)
        maps = np.lib.stride_tricks.sliding_window_view(np.pad(maps, pad), len(taps), axis=axis) @ taps
    scaled = maps * (scores / maps.max(axis=(1, 2)))[:, None, None]
    around = np.arange(-2, 3)
    rows, columns = cells[:, 1, None, None] + around[:, None], cells[:, 0, None, None] + around
    return np.asarray(scaled[np.arange(len(maps))[:, None, None], rows, columns])


def _newton_step(log_maps: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(M, 5, 5) log-heatmaps around their maxima -> (M, 2) step -H^-1 g, zero where not finite; (M, 2, 2) -H^-1."""
    at = {(dx, dy): log_maps[:, dy + 2, dx + 2] for dx in range(-2, 3) for dy in range(-2, 3)}
    gx, gy = 0.5 * (at[1, 0] - at[-1, 0]), 0.5 * (at[0, 1] - at[0, -1])
    hxx = 0.25 * (at[2, 0] - 2 * at[0, 0] + at[-2, 0])
    hyy = 0.25 * (at[0, 2] - 2 * at[0, 0] + at[0, -2])
    hxy = 0.25 * (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1])
    determinant = hxx * hyy - hxy * hxy
    step = np.stack([hxy * gy - hyy * gx, hxy * gx - hxx * gy], axis=1) / determinant[:, None]
    step = np.where(np.isfinite(step).all(axis=1, keepdims=True), step, 0)
    inverse = np.stack([-hyy, hxy, hxy, -hxx], axis=1).reshape(-1, 2, 2) / determinant[:, None, None]
    definite = (hxx < 0) & (determinant > 0)
    return step, np.where(definite[:, None, None] & np.isfinite(inverse), inverse, np.nan)


# ---------------------------------------------------------------------------------------------- the kernel of the blur

# The right halves, from the centre, of OpenCV's fixed kernels for sigma = 0 and sizes up to 9.
_SMALL_KERNELS = {
    1: [1.0],
    3: [0.5, 0.25],
    5: [0.375, 0.25, 0.0625],
    7: [0.28125, 0.21875, 0.109375, 0.03125],
    9: [0.234375, 0.19921875, 0.1171875, 0.05078125, 0.015625],
}


def modulation_kernel(size: int) -> NDArray[np.float64]:
    """Taps (size,) of the blur that DARK applies before the logarithm; sum 1.

    Convention: OpenCV's `GaussianBlur(sigma=0)`: fixed tables up to size 9, then sigma = 0.3*((size-1)/2 - 1) + 0.8
    (2.0 for 11, 2.9 for 17).

    Raises:
        DarkposeError: the size is not a positive odd number.
    """
    return np.array(modulation_taps(size))


def modulation_taps(size: int) -> list[float]:
    """`modulation_kernel` as numbers, computed in Python, which `torch.compile` can follow."""
    if not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1 or size % 2 == 0:
        raise DarkposeError(f"kernel_size must be a positive odd number, got {size!r}")
    if size in _SMALL_KERNELS:
        half = _SMALL_KERNELS[size]
        return half[:0:-1] + half
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    taps = [math.exp(-((i - size // 2) ** 2) / (2 * sigma**2)) for i in range(size)]
    return [tap / sum(taps) for tap in taps]


def blur_variance(taps: NDArray[np.float64]) -> float:
    """The variance of a kernel (size,), px^2."""
    return float(taps @ (np.arange(len(taps)) - len(taps) // 2) ** 2)
