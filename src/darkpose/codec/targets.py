"""Where the Gaussians of target heatmaps lie, and their factors along x and y."""

import numpy as np
import torch

# Sigmas beyond which a factor, below 2e-19 there, counts as 0: products of those kept are never subnormal numbers,
# which some processors multiply slowly (docs/experiments.md).
FADED = 9.3


def widest(device: torch.device) -> torch.dtype:
    """The widest floating type that a device calculates in."""
    return torch.float32 if device.type == "mps" else torch.float64


def centres_and_weights(
    points: torch.Tensor, visible: torch.Tensor, size: tuple[int, int], sigma: float, unbiased: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres and weights of target heatmaps.

    Args:
        points: (N, K, 2), of the widest type, heatmap px.
        visible: (N, K), above 0 where a landmark is annotated.
        size: (W, H) of the maps.
        sigma: heatmap px.
        unbiased: False: round the landmarks to cells.

    Returns:
        (N, K, 2) heatmap px, infinite where nothing is drawn; and (N, K) float32: 0 where the landmark's 3-sigma square
        misses the map, else the visibility.
    """
    points = points if unbiased else torch.trunc(points + 0.5)
    radius = 3.0 * sigma
    first, last = points - radius, points + radius + 1
    reaches = last >= 0 if unbiased else last > -1  # the reference truncates both, which matters for `last` alone
    inside = (first[..., 0] < size[0]) & (first[..., 1] < size[1]) & reaches.all(-1)  # false for NaN
    weights = torch.where(inside & (visible > 0), visible.float(), 0.0)
    return torch.where((weights > 0.5)[..., None], points, torch.inf), weights


def profiles(
    centres: torch.Tensor, size: tuple[int, int], sigma: float, radius: float = np.inf
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussians along x and along y, whose outer products are the heatmaps.

    Args:
        centres: (N, K, 2) float64, heatmap px; infinite: 0 everywhere.
        size: (W, H).
        sigma: heatmap px.
        radius: heatmap px, beyond which they are 0; at most `FADED` sigmas.

    Returns:
        (N, K, W) and (N, K, H) float32.
    """
    along, radius = [], min(radius, FADED * sigma)
    for axis, length in enumerate(size):
        offset = torch.arange(length, dtype=centres.dtype, device=centres.device) - centres[..., axis, None]
        values = torch.exp(offset.square() / (-2.0 * sigma * sigma))  # exp(-inf) draws nothing
        along.append(torch.where(offset.abs() <= radius, values, 0.0).float())
    return along[0], along[1]
