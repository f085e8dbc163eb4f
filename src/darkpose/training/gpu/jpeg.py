"""The effect of JPEG compression on a batch of crops on their device, without encoding.

Source: ITU-T T.81 (1992): the transform (A.3.3) and the example tables (K.1 and K.2), scaled by quality as in the
Independent JPEG Group's library. Colour is JFIF's YCbCr at half the resolution (4:2:0): reduced by means of 2x2 px,
enlarged by bilinear interpolation.
"""

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional as F

_LUMINANCE = np.array(
    [
        *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
        *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
        *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
        *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
    ]
).reshape(8, 8)
_COLOUR = np.full((8, 8), 99)
_COLOUR[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
# Rounding in the library: offsets before truncation, in even and odd columns; halves are rounded away from 0.
_REDUCE, _ENLARGE = (1 / 4, 2 / 4), (8 / 16, 7 / 16)
_HALF = 0.5001  # above 1/2, for halves that are slightly less in float32

_TO_YCC = [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]]
_TO_RGB = [[1.0, 0.0, 1.402], [1.0, -0.344136286, -0.714136286], [1.0, 1.772, 0.0]]


def quantisation_tables(qualities: ArrayLike) -> NDArray[np.float32]:
    """Tables (N, 2, 8, 8), luminance and colour, for qualities (N,) from 1 to 100."""
    quality = np.asarray(qualities, int)[:, None, None, None]
    per_cent = np.where(quality < 50, 5000 // np.maximum(quality, 1), 200 - 2 * quality)
    scaled = (np.stack([_LUMINANCE, _COLOUR]) * per_cent + 50) // 100
    return np.asarray(np.clip(scaled, 1, 255), np.float32)


def compress(crops: Tensor, tables: Tensor) -> Tensor:
    """Crops after JPEG compression.

    Args:
        crops: (N, 3, H, W) float32 RGB with whole numbers from 0 to 255.
        tables: (N, 2, 8, 8) of `quantisation_tables`, float32.

    Returns:
        (N, 3, H, W), of the same kind.
    """
    height, width = crops.shape[2:]
    padded = F.pad(crops, (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = _weighted_sums(padded, _TO_YCC).round()
    halves = _truncated(F.avg_pool2d(ycc[:, 1:], 2), _REDUCE)
    luminance = _quantised(ycc[:, :1] - 128, tables[:, :1]) + 128
    whole = _truncated(F.interpolate(_quantised(halves, tables[:, 1:]), scale_factor=2.0, mode="bilinear"), _ENLARGE)
    rgb = _weighted_sums(torch.cat([luminance, whole], 1), _TO_RGB)
    return rgb[:, :, :height, :width].round().clamp(0, 255)


def _weighted_sums(planes: Tensor, weights: list[list[float]]) -> Tensor:
    """Weighted sums of the three planes (N, 3, H, W); products of matrices may be inexact."""
    rows = [sum(weight * plane for weight, plane in zip(row, planes.unbind(1), strict=True)) for row in weights]
    return torch.stack([torch.as_tensor(row) for row in rows], 1)


def _truncated(planes: Tensor, offsets: tuple[float, float]) -> Tensor:
    """Round planes (N, C, H, W) down, after adding offsets to even and odd columns."""
    odd = torch.arange(planes.shape[3], device=planes.device) % 2
    return (planes + offsets[0] + (offsets[1] - offsets[0]) * odd).floor()


def _quantised(planes: Tensor, tables: Tensor) -> Tensor:
    """Quantise planes (N, C, H, W) around 0 in transformed blocks of 8x8, by the tables (N, 1, 8, 8)."""
    count, channels, height, width = planes.shape
    blocks = planes.reshape(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps, cosines = tables[:, :, None, None], _cosines(planes.device)
    waves = cosines @ blocks @ cosines.T / steps
    levels = (waves + waves.sign() * _HALF).trunc() * steps
    again = (cosines.T @ levels @ cosines + _HALF).floor().clamp(-128, 127)
    return again.transpose(3, 4).reshape(planes.shape)


def _cosines(device: torch.device) -> Tensor:
    """Matrix (8, 8) of the orthonormal discrete cosine transform of a column."""
    place = torch.arange(8, device=device)
    wave = place[:, None]
    rows = torch.cos((2 * place + 1) * wave * torch.pi / 16) / 2
    return torch.where(wave == 0, rows / 2**0.5, rows)
