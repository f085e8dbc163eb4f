"""Draw and decode heatmaps on the CPU: with Numba where it is installed, else with NumPy."""

from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darkpose.codec import dark
from darkpose.codec.dark import Found, modulation_kernel
from darkpose.codec.loaded_torch import is_tensor
from darkpose.codec.targets import profiles
from darkpose.errors import DarkposeError, check_unmasked


@cache
def has_numba() -> bool:
    """Whether Numba is installed; it is imported here for the first time."""
    from darkpose.codec.compiled import AVAILABLE

    return AVAILABLE


def as_float64(values: Any, name: str) -> NDArray[np.float64]:
    """An array of numbers, or a tensor, as an array in float64.

    Args:
        values: the array.
        name: for the message.

    Raises:
        DarkposeError: it does not hold numbers, or some are masked.
    """
    check_unmasked(name, values)
    array = values.detach().cpu().double().numpy() if is_tensor(values) else np.asarray(values)
    if array.dtype.kind not in "fiub":
        raise DarkposeError(f"{name}: expected an array of numbers, got {array.dtype}")
    return array.astype(np.float64, copy=False)


def draw(centres: NDArray[np.float64], sigma: float, radius: float, maps: NDArray[np.float32]) -> None:
    """Fill maps (N, K, H, W) with Gaussians of height 1 around centres (N, K, 2); see `targets.profiles`."""
    height, width = maps.shape[2:]
    if has_numba():
        from darkpose.codec.encode_numba import draw_gaussians

        flat = np.ascontiguousarray(centres.reshape(-1, 2))
        draw_gaussians(flat, float(sigma), radius, maps.reshape(-1, height, width))
    else:
        along_x, along_y = profiles(centres, (width, height), sigma, radius)
        np.multiply(along_y[..., :, None], along_x[..., None, :], out=maps)


def decode_array(maps: NDArray[Any], method: str, kernel_size: int, covariance: bool) -> Found:
    """Find one landmark in each of the maps (N, K, H, W), as `heatmap.decode` does.

    Args:
        maps: of a floating type; int16 holds the bits of bfloat16, for Numba only.
        method: as in `heatmap.decode`.
        kernel_size: of the blur.
        covariance: whether to return it.

    Returns:
        `Found` with shapes (N, K, 2), (N, K) and (N, K, 2, 2).
    """
    n, k, height, width = maps.shape
    if has_numba() and maps.dtype.char in "efdh" and maps.dtype.isnative:
        from darkpose.codec.dark_numba import decode_maps
    else:
        decode_maps = dark.decode_maps
    points, scores, spread = decode_maps(maps.reshape(n * k, height, width), method, _taps(kernel_size), covariance)
    spread = None if spread is None else spread.reshape(n, k, 2, 2)
    return Found(points.reshape(n, k, 2), scores.reshape(n, k), spread)


_taps = lru_cache(typed=True)(modulation_kernel)
