"""What spoils a photograph, for many crops at once on their device; the work of `image` and `degrade`, in torch.

Crops are (N, 3, H, W) float32 RGB with whole numbers from 0 to 255, as are the results. Every crop has its own values.
Nothing here copies to the device or asks it for a number, so the host never waits.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

_LOW = 0xFFFFFFFF  # the lower 32 bits


def warp(pictures: Tensor, grids: Tensor, size: int) -> Tensor:
    """Cut crops: bilinear, black outside.

    Args:
        pictures: (N, 3, S, S) RGB, any type.
        grids: (N, 2, 3) from `geometry.grid_matrix`, float32.
        size: side of the crops, px.

    Returns:
        (N, 3, size, size) float32.
    """
    along = torch.arange(size, dtype=grids.dtype, device=grids.device)
    by_x, by_y, shift = grids[:, None, None, :, :].unbind(-1)  # sums, not a product of matrices: those may be inexact
    grid = by_x * along[None, None, :, None] + by_y * along[None, :, None, None] + shift
    return F.grid_sample(
        pictures.to(grids.dtype), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    ).round()


def relight(crops: Tensor, gamma: Tensor, gains: Tensor, grey: Tensor) -> Tensor:
    """Values in [0, 1] raised to gamma (N,), times gains (N, 3) per channel; without colour where grey (N,) is true."""
    red, green, blue = (crops[:, channel : channel + 1] for channel in range(3))
    colourless = (0.299 * red + 0.587 * green + 0.114 * blue).round()
    values = torch.where(grey[:, None, None, None], colourless, crops) / 255
    return (255 * values ** gamma[:, None, None, None] * gains[:, :, None, None]).round().clamp(0, 255)


def cover(crops: Tensor, edges: Tensor, colours: Tensor) -> Tensor:
    """A rectangle over every crop.

    Args:
        crops: as the module says.
        edges: (N, 4) left, top, right and bottom in px, right and bottom excluded.
        colours: (N, 3) RGB.
    """
    x = torch.arange(crops.shape[3], device=crops.device)
    y = torch.arange(crops.shape[2], device=crops.device)
    left, top, right, bottom = edges[:, :, None].unbind(1)
    across, down = (x >= left) & (x < right), (y >= top) & (y < bottom)
    return torch.where((down[:, :, None] & across[:, None, :])[:, None], colours[:, :, None, None].to(crops), crops)


def gaussian_taps(sigmas: Tensor) -> Tensor:
    """Taps (N, 2R + 1) of Gaussians (N,), each cut beyond three sigmas as OpenCV cuts it; sum 1."""
    radii = torch.round(6 * sigmas + 1).int() // 2
    offset = torch.arange(-int(radii.max()), int(radii.max()) + 1)
    taps = torch.exp(offset.square() / (-2 * sigmas.double().square()[:, None]))
    taps = torch.where(offset.abs() <= radii[:, None], taps, 0.0)
    return (taps / taps.sum(1, keepdim=True)).float()


def blur(crops: Tensor, taps: Tensor) -> Tensor:
    """Every crop under its own taps (N, 2R + 1) along both axes; its edge mirrors it. R is less than its side."""
    count, channels, height, width = crops.shape
    radius, planes = taps.shape[1] // 2, count * channels
    kernels = taps.repeat_interleave(channels, 0)[:, None, None]  # (planes, 1, 1, 2R + 1)
    flat = F.pad(crops.reshape(1, planes, height, width), (radius,) * 4, mode="reflect")
    flat = F.conv2d(F.conv2d(flat, kernels, groups=planes), kernels.mT, groups=planes)
    return flat.reshape(crops.shape).round().clamp(0, 255)


def noise(crops: Tensor, deviations: Tensor, seeds: Tensor) -> Tensor:
    """Gaussian noise of deviations (N,) grey levels, a function of each crop's seed (N,) int64 below 2^32 alone."""
    normal = standard_normal(seeds, crops[0].numel()).reshape(crops.shape)
    return (crops + deviations[:, None, None, None] * normal).round().clamp(0, 255)


def standard_normal(seeds: Tensor, count: int) -> Tensor:
    """Normal numbers (N, count) float32: row n depends on seed n alone, whatever the device and the other rows.

    Numbers from 0 are mixed (after Wellons, "Hash Function Prospector", 2018) into uniform ones, and pairs of these
    become normal (Box and Muller, 1958).
    """
    pairs = (count + 1) // 2
    keys = _mixed(_mixed(seeds) + 1)[:, None]
    numbers = torch.arange(2 * pairs, device=seeds.device)
    bits = _mixed(_mixed(numbers) ^ keys)
    first, second = ((bits[:, half].float() + 0.5) / 2.0**32 for half in (slice(None, pairs), slice(pairs, None)))
    length = torch.sqrt(-2 * torch.log(first))
    angle = 2 * torch.pi * second
    return torch.cat([length * torch.cos(angle), length * torch.sin(angle)], 1)[:, :count]


def _mixed(numbers: Tensor) -> Tensor:
    """int64 numbers below 2^32 to others, one to one; no product reaches 2^63."""
    numbers = numbers & _LOW
    numbers = ((numbers ^ (numbers >> 16)) * 0x21F0AAAD) & _LOW
    numbers = ((numbers ^ (numbers >> 15)) * 0x735A2D97) & _LOW
    return numbers ^ (numbers >> 15)
