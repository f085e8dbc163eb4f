"""Image effects for a batch of crops on their device, as `image.pixels` and `degrade` compute them for one.

Crops and results are (N, 3, H, W) float32 RGB with whole numbers from 0 to 255. Every crop has its own parameters.
Nothing here copies to or from the device, so the host never waits.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_LOW = 0xFFFFFFFF  # the lower 32 bits


def warp(pictures: Tensor, grids: Tensor, size: int) -> Tensor:
    """Cut crops with bilinear interpolation, black outside.

    Args:
        pictures: (N, 3, S, S) RGB, any type.
        grids: (N, 2, 3) float32 of `geometry.grid_matrix`.
        size: side of the crops, px.

    Returns:
        (N, 3, size, size) float32.
    """
    along = torch.arange(size, dtype=grids.dtype, device=grids.device)
    by_x, by_y, shift = grids[:, None, None, :, :].unbind(-1)  # sums: products of matrices may be inexact
    grid = by_x * along[None, None, :, None] + by_y * along[None, :, None, None] + shift
    return F.grid_sample(
        pictures.to(grids.dtype), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    ).round()


def relight(crops: Tensor, gamma: Tensor, gains: Tensor, grey: Tensor) -> Tensor:
    """Raise values in [0, 1] to gamma (N,) and multiply by gains (N, 3), after conversion to grey where grey (N,)."""
    red, green, blue = (crops[:, channel : channel + 1] for channel in range(3))
    grey_values = (0.299 * red + 0.587 * green + 0.114 * blue).round()
    values = torch.where(grey[:, None, None, None], grey_values, crops) / 255
    return (255 * values ** gamma[:, None, None, None] * gains[:, :, None, None]).round().clamp(0, 255)


def cover(crops: Tensor, edges: Tensor, colours: Tensor) -> Tensor:
    """Cover a rectangle of every crop.

    Args:
        crops: (N, 3, H, W).
        edges: (N, 4) left, top, right and bottom in px, right and bottom excluded.
        colours: (N, 3) RGB.
    """
    x = torch.arange(crops.shape[3], device=crops.device)
    y = torch.arange(crops.shape[2], device=crops.device)
    left, top, right, bottom = edges[:, :, None].unbind(1)
    across, down = (x >= left) & (x < right), (y >= top) & (y < bottom)
    return torch.where((down[:, :, None] & across[:, None, :])[:, None], colours[:, :, None, None].to(crops), crops)


def gaussian_taps(sigmas: Tensor) -> Tensor:
    """Taps (N, 2R + 1) of Gaussians (N,), each truncated at three sigmas as in OpenCV, with sum 1."""
    radii = torch.round(6 * sigmas + 1).int() // 2
    offset = torch.arange(-int(radii.max()), int(radii.max()) + 1)
    taps = torch.exp(offset.square() / (-2 * sigmas.double().square()[:, None]))
    taps = torch.where(offset.abs() <= radii[:, None], taps, 0.0)
    return (taps / taps.sum(1, keepdim=True)).float()


def blur(crops: Tensor, taps: Tensor) -> Tensor:
    """Filter every crop with its taps (N, 2R + 1) along both axes, mirrored at its edges; R is less than its side."""
    count, channels, height, width = crops.shape
    radius, planes = taps.shape[1] // 2, count * channels
    kernels = taps.repeat_interleave(channels, 0)[:, None, None]  # (planes, 1, 1, 2R + 1)
    flat = F.pad(crops.reshape(1, planes, height, width), (radius,) * 4, mode="reflect")
    flat = F.conv2d(F.conv2d(flat, kernels, groups=planes), kernels.mT, groups=planes)
    return flat.reshape(crops.shape).round().clamp(0, 255)


def noise(crops: Tensor, deviations: Tensor, seeds: Tensor) -> Tensor:
    """Add Gaussian noise of deviations (N,) grey levels, from each crop's seed (N,) int64 below 2^32 alone."""
    normal = standard_normal(seeds, crops[0].numel()).reshape(crops.shape)
    return (crops + deviations[:, None, None, None] * normal).round().clamp(0, 255)


def standard_normal(seeds: Tensor, count: int) -> Tensor:
    """Normal numbers (N, count) float32; row n depends on seed n alone, on any device.

    Counters are hashed (Wellons, "Hash Function Prospector", 2018) to uniform numbers, and pairs of these are
    transformed to normal ones (Box and Muller, 1958).
    """
    pairs = (count + 1) // 2
    keys = _hashed(_hashed(seeds) + 1)[:, None]
    numbers = torch.arange(2 * pairs, device=seeds.device)
    bits = _hashed(_hashed(numbers) ^ keys)
    first, second = ((bits[:, half].float() + 0.5) / 2.0**32 for half in (slice(None, pairs), slice(pairs, None)))
    length = torch.sqrt(-2 * torch.log(first))
    angle = 2 * torch.pi * second
    return torch.cat([length * torch.cos(angle), length * torch.sin(angle)], 1)[:, :count]


def _hashed(numbers: Tensor) -> Tensor:
    """Map int64 numbers below 2^32 one to one to others; no product reaches 2^63."""
    numbers = numbers & _LOW
    numbers = ((numbers ^ (numbers >> 16)) * 0x21F0AAAD) & _LOW
    numbers = ((numbers ^ (numbers >> 15)) * 0x735A2D97) & _LOW
    return numbers ^ (numbers >> 15)
