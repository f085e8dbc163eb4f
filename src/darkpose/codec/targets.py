"""Centres, weights and one-dimensional Gaussians of target heatmaps, for arrays and tensors."""

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.loaded_torch import is_tensor, loaded_torch

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", NDArray[np.floating], "torch.Tensor")

# Beyond this many sigmas a factor, there below 2e-19, is 0: products of the others are never subnormal numbers, which
# some processors multiply slowly (docs/experiments.md).
ZERO_BEYOND_SIGMAS = 9.3


def widest(device: "torch.device") -> "torch.dtype":
    """The widest floating type that a torch device calculates in."""
    torch = loaded_torch()
    return torch.float32 if device.type == "mps" else torch.float64  # type: ignore[no-any-return]


def centres_and_weights(
    points: Array, visible: Array, size: tuple[int, int], sigma: float, unbiased: bool
) -> tuple[Array, Array]:
    """Centres and weights of target heatmaps.

    Args:
        points: (N, K, 2) heatmap px, float64 (float32 on a device without float64); array or tensor.
        visible: (N, K), above 0 where a landmark is annotated; of the same kind.
        size: (W, H) of the maps.
        sigma: heatmap px.
        unbiased: False: round the landmarks to cells.

    Returns:
        (N, K, 2) heatmap px, infinite where nothing is drawn; and (N, K) float32: 0 where the landmark's 3-sigma square
        misses the map, else the visibility.
    """
    xp = _namespace(points)
    points = points if unbiased else xp.trunc(points + 0.5)
    radius = 3.0 * sigma
    first, last = points - radius, points + radius + 1
    reaches = last >= 0 if unbiased else last > -1  # the reference truncates both, which matters for `last` alone
    inside = (first[..., 0] < size[0]) & (first[..., 1] < size[1]) & reaches.all(-1)  # false for NaN
    weights = xp.asarray(xp.where(inside & (visible > 0), visible, 0.0), dtype=xp.float32)
    return xp.where((weights > 0.5)[..., None], points, xp.inf), weights


def profiles(centres: Array, size: tuple[int, int], sigma: float, radius: float = float("inf")) -> tuple[Array, Array]:
    """Gaussians along x and along y; their outer products are the heatmaps.

    Args:
        centres: (N, K, 2) float64 heatmap px, array or tensor; infinite: 0 everywhere.
        size: (W, H).
        sigma: heatmap px.
        radius: heatmap px; further away they are 0. At most `ZERO_BEYOND_SIGMAS` sigmas.

    Returns:
        (N, K, W) and (N, K, H) float32, of the same kind and device.
    """
    xp, device = _namespace(centres), {"device": centres.device} if is_tensor(centres) else {}
    along, radius = [], min(radius, ZERO_BEYOND_SIGMAS * sigma)
    for axis, length in enumerate(size):
        offset = xp.arange(length, dtype=centres.dtype, **device) - centres[..., axis, None]
        values = xp.exp(offset * offset / (-2.0 * sigma * sigma))  # exp(-inf) draws nothing
        along.append(xp.asarray(xp.where(abs(offset) <= radius, values, 0.0), dtype=xp.float32))
    return along[0], along[1]


def _namespace(values: object) -> Any:
    """NumPy or torch; the functions above have the same names in both."""
    return loaded_torch() if is_tensor(values) else np
