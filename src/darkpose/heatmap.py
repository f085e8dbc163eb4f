"""The DARK codec: keypoints -> Gaussian heatmaps -> keypoints.

Source: Zhang, Zhu, Dai, Ye, Zhu, "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020:
unbiased encoding (section 3.3), modulation (3.2, eq. 10-11) and the Taylor step (3.2, eq. 4-9).

Encode and decode stand in one file because they share one convention: (x, y) in heatmap px, the centre of the first
cell is (0, 0).
"""

from typing import Generic, Literal, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from darkpose.errors import DarkposeError

Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
Method = Literal["argmax", "quarter", "dark"]

FLOOR = 1e-10  # the reference's clip before the logarithm


class Decoded(NamedTuple, Generic[Array]):
    """Landmarks found in heatmaps.

    Attributes:
        points: (N, K, 2) heatmap px; (-1, -1) where a map has no positive maximum or holds a NaN.
        scores: (N, K), the maximum of each map as it came in; NaN where the map holds one.
    """

    points: Array
    scores: Array


# ---------------------------------------------------------------------------------------------------------- encode


def encode(
    keypoints: Array,
    visible: Array | None = None,
    *,
    size: tuple[int, int] = (64, 64),
    sigma: float = 2.0,
    unbiased: bool = True,
) -> tuple[Array, Array]:
    """Gaussian target heatmaps.

    Args:
        keypoints: (N, K, 2) heatmap px; NumPy array or torch tensor. A landmark that is not finite is not encoded.
        visible: (N, K), above 0 where a landmark is annotated (NaN is not); None: all are. A map is drawn where it
            exceeds 0.5.
        size: (W, H) of the maps.
        sigma: standard deviation in heatmap px.
        unbiased: centre the Gaussian on the landmark itself, over the whole map (DARK); False: round the landmark to a
            cell and draw within 3 sigma (the quantised "MSRA" target).

    Returns:
        heatmaps (N, K, H, W) float32 and weights (N, K) float32, of the same kind and device as `keypoints`. A weight
        is 0 where the landmark's 3-sigma square misses the map, else the visibility.

    Raises:
        DarkposeError: a shape is wrong, or `sigma` or `size` is not positive.
    """
    points = _as_tensor(keypoints)
    if points.ndim != 3 or points.shape[-1] != 2:
        raise DarkposeError(f"keypoints must be (N, K, 2) in heatmap px, got {tuple(points.shape)}")
    if len(size) != 2 or not all(isinstance(side, int | np.integer) and side >= 1 for side in size):
        raise DarkposeError(f"size must be two positive whole numbers, (W, H), got {size}")
    seen = torch.ones(points.shape[:2]) if visible is None else _as_tensor(visible)
    if seen.shape != points.shape[:2]:
        raise DarkposeError(f"visible must be {tuple(points.shape[:2])}, as the keypoints, got {tuple(seen.shape)}")
    if not sigma > 0 or min(size) < 1:
        raise DarkposeError(f"sigma and size must be positive, got {sigma} and {size}")
    along_x, along_y, weights = _profiles(points.detach().double(), seen.to(points.device), size, sigma, unbiased)
    if isinstance(keypoints, torch.Tensor):
        return along_y[..., :, None] * along_x[..., None, :], weights
    # NumPy's memory for a new array of this size costs less than torch's.
    return along_y.numpy()[..., :, None] * along_x.numpy()[..., None, :], weights.numpy()


def _as_tensor(values: NDArray[np.floating] | torch.Tensor) -> torch.Tensor:
    """An array is copied: torch takes neither reversed nor, without a warning, read-only ones."""
    return values if isinstance(values, torch.Tensor) else torch.from_numpy(np.array(values))


def _profiles(
    points: torch.Tensor, visible: torch.Tensor, size: tuple[int, int], sigma: float, unbiased: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The Gaussians (N, K, W) along x and (N, K, H) along y, whose outer products are the maps, and the weights."""
    points = points if unbiased else torch.trunc(points + 0.5)
    radius = 3.0 * sigma
    limits = torch.tensor(size, dtype=points.dtype, device=points.device)
    first, last = points - radius, points + radius + 1
    if not unbiased:
        first, last = torch.trunc(first), torch.trunc(last)
    inside = ((first < limits) & (last >= 0)).all(-1)  # false for NaN
    weights = torch.where(inside & (visible > 0), visible.float(), 0.0)
    points = torch.where((weights > 0.5)[..., None], points, torch.inf)  # exp(-inf) draws nothing
    along_x, along_y = (
        _gaussian(points[..., axis, None], size[axis], sigma, None if unbiased else radius) for axis in (0, 1)
    )
    return along_x, along_y, weights


def _gaussian(centres: torch.Tensor, length: int, sigma: float, radius: float | None) -> torch.Tensor:
    """exp(-(x - centre)^2 / (2 sigma^2)) at 0 .. length-1, cut beyond `radius`; (..., 1) -> (..., length) float32."""
    offset = torch.arange(length, dtype=centres.dtype, device=centres.device) - centres
    values = torch.exp(offset.square() / (-2.0 * sigma * sigma))
    if radius is not None:
        values = torch.where(offset.abs() <= radius, values, 0.0)
    return values.float()


# ---------------------------------------------------------------------------------------------------------- decode

# OpenCV's fixed kernels for sigma = 0 and sizes up to 9, right half from the centre.
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
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise DarkposeError(f"kernel_size must be a positive odd number, got {size!r}")
    if size in _SMALL_KERNELS:
        half = np.array(_SMALL_KERNELS[size])
        return np.concatenate([half[:0:-1], half])
    sigma = 0.3 * ((size - 1) * 0.5 - 1) + 0.8
    taps = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return np.asarray(taps / taps.sum())


def decode(heatmaps: Array, *, method: Method = "dark", kernel_size: int = 11) -> Decoded[Array]:
    """Find one landmark in every heatmap.

    Args:
        heatmaps: (N, K, H, W); NumPy array or torch tensor of a floating type; never modified. Float64 maps are decoded
            in float64, all others in float32. Tensors on another device than the CPU are decoded on the CPU.
        method: "argmax": the highest cell, the first of equals; "quarter": a quarter cell towards the higher neighbour;
            "dark": the paper's decoder: blur, logarithm, one Newton step. A maximum in the two outer rows or columns
            stays where it is (for "quarter": the two first, the one last).
        kernel_size: of DARK's blur, odd; 11 for sigma 2, 17 for sigma 3.

    Returns:
        `Decoded` of the same kind and on the same device as `heatmaps`.

    Raises:
        DarkposeError: wrong rank or type, an empty map, an unknown method, an even kernel.
    """
    if isinstance(heatmaps, torch.Tensor):
        return _decode_tensor(heatmaps, method, kernel_size)
    maps = np.asarray(heatmaps)
    if maps.ndim != 4 or min(maps.shape[2:]) < 1:
        raise DarkposeError(f"heatmaps must be (N, K, H, W) with H, W >= 1, got {maps.shape}")
    if not np.issubdtype(maps.dtype, np.floating):
        raise DarkposeError(f"heatmaps must be of a floating type, got {maps.dtype}")
    if method not in ("argmax", "quarter", "dark"):
        raise DarkposeError(f'method must be "argmax", "quarter" or "dark", got {method!r}')
    maps = maps.astype(np.result_type(maps, np.float32), copy=False)
    flat = np.ascontiguousarray(maps).reshape(maps.shape[0] * maps.shape[1], *maps.shape[2:])
    cells, scores = _argmax(flat)
    points = cells.astype(maps.dtype)
    if method == "quarter":
        points += _quarter_offset(flat, cells)
    elif method == "dark":
        points += _dark_offset(flat, cells, scores, modulation_kernel(kernel_size).astype(maps.dtype))
    return Decoded(points.reshape(*maps.shape[:2], 2), scores.reshape(maps.shape[:2]))


def _decode_tensor(heatmaps: torch.Tensor, method: Method, kernel_size: int) -> Decoded[torch.Tensor]:
    maps = heatmaps.detach().cpu()
    if maps.is_floating_point() and maps.dtype != torch.float64:
        maps = maps.float()
    decoded = decode(cast(NDArray[np.floating], maps.numpy()), method=method, kernel_size=kernel_size)
    return Decoded(*(torch.from_numpy(values).to(heatmaps.device) for values in decoded))


def _argmax(maps: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.floating]]:
    """(M, H, W) -> cells (M, 2) as (x, y), first of equals, (-1, -1) without a positive maximum; scores (M,)."""
    flat = maps.reshape(len(maps), maps.shape[1] * maps.shape[2])
    best = flat.argmax(axis=1)  # the first NaN, if there is one
    scores = flat[np.arange(len(flat)), best]
    y, x = np.divmod(best, maps.shape[2])
    cells = np.stack([x, y], axis=1)
    cells[~(scores > 0)] = -1
    return cells, scores


def _interior(cells: NDArray[np.intp], shape: tuple[int, ...], before: int, after: int) -> NDArray[np.intp]:
    """Indices of the maps whose maximum has at least `before` and `after` cells on either side, along both axes."""
    limits = np.array([shape[2], shape[1]]) - after
    return np.flatnonzero(((cells >= before) & (cells < limits)).all(axis=1))


def _quarter_offset(maps: NDArray[np.floating], cells: NDArray[np.intp]) -> NDArray[np.floating]:
    """(M, 2) offset of a quarter cell towards the higher neighbour on each axis."""
    offset = np.zeros((len(maps), 2), maps.dtype)
    m = _interior(cells, maps.shape, before=2, after=1)  # the reference tests 1 < x < W-1
    x, y = cells[m].T
    for axis, (dx, dy) in enumerate(((1, 0), (0, 1))):
        after, before = maps[m, y + dy, x + dx], maps[m, y - dy, x - dx]
        offset[m, axis] = 0.25 * (after > before) - 0.25 * (after < before)  # infinities compare, but do not subtract
    return offset


@np.errstate(divide="ignore", over="ignore", invalid="ignore")  # what is not finite ends in no step
def _dark_offset(
    maps: NDArray[np.floating], cells: NDArray[np.intp], scores: NDArray[np.floating], taps: NDArray[np.floating]
) -> NDArray[np.floating]:
    """(M, 2) Newton step on the logarithm of the blurred maps, from the maximum's cell.

    Only the 5x5 neighbourhood of the maximum is blurred. The reference scales the blurred map to its old maximum, a
    constant under the logarithm, and clips at 1e-10: where a blurred value of the stencil does not exceed the clip, the
    factor matters, and the whole map is blurred.
    """
    offset = np.zeros((len(maps), 2), maps.dtype)
    m = _interior(cells, maps.shape, before=2, after=2)
    blurred = _blur_neighbourhoods(maps, m, cells[m], taps)
    low = np.flatnonzero(~(blurred.reshape(len(m), 25)[:, _STENCIL] > FLOOR).all(axis=1))
    if low.size:
        blurred[low] = _modulate_whole_maps(maps[m[low]], cells[m[low]], scores[m[low]], taps)
    offset[m] = _newton_step(np.log(np.maximum(blurred, maps.dtype.type(FLOOR))))
    return offset


# Cells of the flattened 5x5 neighbourhood that the derivatives use.
_STENCIL = np.array([2, 6, 7, 8, 10, 11, 12, 13, 14, 16, 17, 18, 22])


def _blur_neighbourhoods(
    maps: NDArray[np.floating], index: NDArray[np.intp], cells: NDArray[np.intp], taps: NDArray[np.floating]
) -> NDArray[np.floating]:
    """(M, 5, 5) values around `cells` of the zero-padded, blurred maps `maps[index]`."""
    height, width = maps.shape[1:]
    reach = len(taps) // 2 + 2
    around = np.arange(-reach, reach + 1)
    x, y = cells[:, 0, None] + around, cells[:, 1, None] + around
    windows = maps[index[:, None, None], np.clip(y, 0, height - 1)[:, :, None], np.clip(x, 0, width - 1)[:, None, :]]
    # Taps of the five blurred cells over the window, zero where the window leaves the map.
    bands = np.stack([np.pad(taps, (i, 4 - i)) for i in range(5)])
    along_x = bands * ((x >= 0) & (x < width))[:, None, :]
    along_y = bands * ((y >= 0) & (y < height))[:, None, :]
    return np.asarray(along_y @ windows @ along_x.transpose(0, 2, 1))


def _modulate_whole_maps(
    maps: NDArray[np.floating], cells: NDArray[np.intp], scores: NDArray[np.floating], taps: NDArray[np.floating]
) -> NDArray[np.floating]:
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


def _newton_step(log_maps: NDArray[np.floating]) -> NDArray[np.floating]:
    """(M, 5, 5) log-heatmaps around their maxima -> (M, 2) step -H^-1 g; zero where that is not finite."""
    at = {(dx, dy): log_maps[:, dy + 2, dx + 2] for dx in range(-2, 3) for dy in range(-2, 3)}
    gx, gy = 0.5 * (at[1, 0] - at[-1, 0]), 0.5 * (at[0, 1] - at[0, -1])
    hxx = 0.25 * (at[2, 0] - 2 * at[0, 0] + at[-2, 0])
    hyy = 0.25 * (at[0, 2] - 2 * at[0, 0] + at[0, -2])
    hxy = 0.25 * (at[1, 1] - at[1, -1] - at[-1, 1] + at[-1, -1])
    determinant = hxx * hyy - hxy * hxy
    step = np.stack([hxy * gy - hyy * gx, hxy * gx - hxx * gy], axis=1) / determinant[:, None]
    return np.asarray(np.where(np.isfinite(step).all(axis=1, keepdims=True), step, 0))
