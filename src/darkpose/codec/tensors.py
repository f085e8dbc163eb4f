"""Draw and decode heatmaps that are torch tensors, on their device."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from darkpose.codec.arrays import as_float64, decode_array, draw, has_numba
from darkpose.codec.dark_torch import decode_torch
from darkpose.codec.targets import profiles, widest
from darkpose.errors import DarkposeError


class TensorsFound(NamedTuple):
    """Landmarks (N, K, 2), scores (N, K) and, if asked for, covariances (N, K, 2, 2) on the device of the maps."""

    points: Tensor
    scores: Tensor
    covariance: Tensor | None


def plain(tensor: Tensor, name: str) -> Tensor:
    """A tensor without its gradient.

    Args:
        tensor: any.
        name: for the message.

    Raises:
        DarkposeError: it is sparse, nested, quantised, complex, masked or without numbers (meta).
    """
    kinds = {
        "nested": tensor.is_nested,
        "complex": tensor.is_complex(),
        "meta": tensor.is_meta,
        "quantised": tensor.is_quantized,
        "masked": hasattr(tensor, "get_mask"),  # torch.masked.MaskedTensor
    }
    if tensor.layout != torch.strided or any(kinds.values()):
        kind = next((kind for kind, found in kinds.items() if found), str(tensor.layout).removeprefix("torch."))
        raise DarkposeError(f"{name} must be a dense tensor of numbers, got a tensor that is {kind}")
    return tensor.detach().resolve_neg()


def as_points(keypoints: Tensor, visible: Any) -> tuple[Tensor, Tensor]:
    """Points in the widest type of their device, and visibilities (an array, a tensor or None) next to them."""
    points = plain(keypoints, "keypoints").to(widest(keypoints.device))
    if visible is None:
        return points, torch.ones_like(points[..., 0])
    if isinstance(visible, Tensor):
        return points, plain(visible, "visible").to(points.device)
    return points, torch.from_numpy(as_float64(visible, "visible")).to(points.device)


def draw_tensor(
    centres: Tensor, size: tuple[int, int], sigma: float, radius: float, out: Tensor | None = None
) -> Tensor:
    """Heatmaps (N, K, H, W) float32 on the device of the centres, in `out` if that is given; see `arrays.draw`."""
    if centres.device.type != "cpu":
        along_x, along_y = profiles(centres, size, sigma, radius)
        return torch.mul(along_y[..., :, None], along_x[..., None, :], out=out)
    if out is None:  # new memory of this size is faster from NumPy than from torch
        out = torch.from_numpy(np.empty((*centres.shape[:2], size[1], size[0]), np.float32))
    draw(centres.numpy(), sigma, radius, out.detach().numpy())
    return out


def decode_tensor(maps: Tensor, method: str, kernel_size: int, covariance: bool) -> TensorsFound:
    """Find one landmark in each of the maps (N, K, H, W) of a floating type, as `heatmap.decode` does."""
    if maps.device.type != "cpu":
        return decode_on_device(maps, method, kernel_size, covariance)
    points, scores, spread = decode_array(as_array(maps), method, kernel_size, covariance)
    given = None if spread is None else torch.from_numpy(spread)
    return TensorsFound(torch.from_numpy(points), torch.from_numpy(scores), given)


def as_array(maps: Tensor) -> NDArray[Any]:
    """A tensor on the CPU as an array over its memory; bfloat16 as int16 for `dark_numba`, else as a copy."""
    maps = maps.detach()
    if maps.dtype == torch.bfloat16 and has_numba():
        return maps.view(torch.int16).numpy()
    known = maps.dtype in (torch.float16, torch.float32, torch.float64)
    return (maps if known else maps.float()).numpy()


def decode_on_device(maps: Tensor, method: str, kernel_size: int, covariance: bool) -> TensorsFound:
    """Find landmarks on the device of the maps; maps that touch the clip are decoded again on the CPU."""
    from darkpose.codec import dark_triton

    find = dark_triton.decode_gpu if dark_triton.fits(maps, method) else decode_torch
    points, scores, spread, clipped = find(maps, method=method, kernel_size=kernel_size)
    n, k = clipped.nonzero(as_tuple=True)
    if len(n):
        again = decode_tensor(maps[n, k][None].cpu(), method, kernel_size, covariance=True)
        points[n, k] = again.points[0].to(maps.device)
        if again.covariance is not None:
            spread[n, k] = again.covariance[0].to(maps.device)
    return TensorsFound(points, scores, spread if covariance else None)
