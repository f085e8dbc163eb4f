"""The DARK codec: keypoints -> Gaussian heatmaps -> keypoints.

Source: Zhang, Zhu, Dai, Ye, Zhu, "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020:
unbiased encoding (section 3.3), modulation (3.2, eq. 10-11) and the Taylor step (3.2, eq. 4-9).

Encode and decode stand in one file because they share one convention: (x, y) in heatmap px, the centre of the first
cell is (0, 0). How a map is decoded is written in `dark`. Where Numba is installed (the extra "fast"), `dark_numba`
and `encode_numba` do the same on the CPU in one pass; on a GPU `dark_triton` where Triton works, else `dark_torch`.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from numbers import Real
from typing import Any, Generic, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from darkpose.codec import dark
from darkpose.codec.blur import modulation_kernel
from darkpose.codec.dark import Found
from darkpose.codec.dark_torch import decode_torch
from darkpose.codec.targets import centres_and_weights, profiles, widest
from darkpose.errors import DarkposeError

Array = TypeVar("Array", NDArray[np.floating], torch.Tensor)
Method = Literal["argmax", "quarter", "dark", "dark+"]
_METHODS = get_args(Method)


class _PointsAndScores(NamedTuple, Generic[Array]):
    points: Array
    scores: Array


class Decoded(_PointsAndScores[Array]):
    """Landmarks found in heatmaps: the tuple (points, scores), and beside it their covariance.

    Attributes:
        points: (N, K, 2) heatmap px; (-1, -1) where a map has no positive maximum or holds a NaN.
        scores: (N, K), the maximum of each map as it came in; NaN where the map holds one.
        covariance: (N, K, 2, 2) heatmap px^2, NaN where there is none; None if not asked for.
    """

    covariance: Array | None = None  # no item of the tuple, which stays one of two


@cache
def _compiled() -> bool:
    """Whether Numba is there; it is first loaded here."""
    from darkpose.codec.compiled import AVAILABLE

    return AVAILABLE


# ---------------------------------------------------------------------------------------------------------- encode


def encode(
    keypoints: Array,
    visible: Array | None = None,
    *,
    size: tuple[int, int] = (64, 64),
    sigma: float = 2.0,
    unbiased: bool = True,
    truncate: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]:
    """Gaussian target heatmaps.

    Args:
        keypoints: (N, K, 2) heatmap px; NumPy array or torch tensor. A landmark that is not finite is not encoded.
        visible: (N, K), above 0 where a landmark is annotated (NaN is not); None: all are. A map is drawn where it
            exceeds 0.5.
        size: (W, H) of the maps.
        sigma: standard deviation in heatmap px.
        unbiased: centre the Gaussian on the landmark itself, over the whole map (DARK; what is below 2e-19 along x
            or y is 0); False: round the landmark to a cell and draw within 3 sigma (the quantised "MSRA" target).
        truncate: draw unbiased Gaussians, too, within 3 sigma along x and y: beyond it they are below 0.0112.
        out: (N, K, H, W) float32, contiguous, of the keypoints' kind and device: filled and returned, which spares the
            system the search for memory. None: memory of its own.

    Returns:
        heatmaps (N, K, H, W) float32 and weights (N, K) float32, of the same kind and device as `keypoints`. A weight
        is 0 where the landmark lies further than 3 sigma and a px outside the map (to the right or below also just
        there), as in the reference, else the visibility; of a landmark beyond 3 sigma `truncate` draws nothing.

    Raises:
        DarkposeError: a shape is wrong, or `sigma` or `size` is not positive, or `out` does not fit.

    Notes:
        With Numba the first call compiles for some 1.3 s of CPU time; the code is kept, as for `decode`.
    """
    points: torch.Tensor = _as_tensor(keypoints)
    if points.ndim != 3 or points.shape[-1] != 2:
        raise DarkposeError(f"keypoints must be (N, K, 2) in heatmap px, got {tuple(points.shape)}")
    if not isinstance(size, Sequence | np.ndarray) or len(size) != 2 or not all(_is_side(side) for side in size):
        raise DarkposeError(f"size must be two positive whole numbers, (W, H), got {size}")
    seen = torch.ones(points.shape[:2]) if visible is None else _as_tensor(visible)
    if seen.shape != points.shape[:2]:
        raise DarkposeError(f"visible must be {tuple(points.shape[:2])}, as the keypoints, got {tuple(seen.shape)}")
    if not isinstance(sigma, Real) or not 0 < sigma < np.inf:
        raise DarkposeError(f"sigma must be a positive number, got {sigma!r}")
    if out is not None:
        _check_out(out, keypoints, (*points.shape[:2], size[1], size[0]))
    centres, weights = centres_and_weights(
        points.detach().to(widest(points.device)), seen.to(points.device), size, sigma, unbiased
    )
    radius = 3.0 * sigma if truncate or not unbiased else np.inf
    if isinstance(keypoints, torch.Tensor):
        return _draw_tensor(centres, size, sigma, radius, out), weights
    # NumPy's memory for a new array of this size costs less than torch's.
    maps = np.empty((*points.shape[:2], size[1], size[0]), np.float32) if out is None else out
    _draw(centres, sigma, radius, maps)
    return maps, weights.numpy()


def _as_tensor(values: NDArray[np.floating] | torch.Tensor) -> torch.Tensor:
    """An array is copied: torch takes neither reversed nor, without a warning, read-only ones."""
    if isinstance(values, torch.Tensor):
        return values
    array = np.array(values)
    if array.dtype.kind not in "fiub":
        raise DarkposeError(f"expected an array of numbers, got {array.dtype}")
    known = array.dtype.kind != "f" or array.dtype.itemsize <= 8
    return torch.from_numpy(array.astype(array.dtype.newbyteorder("=") if known else np.float64, copy=False))


def _is_side(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def _check_out(out: Array, keypoints: Array, shape: tuple[int, ...]) -> None:
    if isinstance(keypoints, torch.Tensor):
        fits = isinstance(out, torch.Tensor) and out.device == keypoints.device and out.is_contiguous()
    else:
        fits = isinstance(out, np.ndarray) and out.flags.c_contiguous and out.flags.writeable and out.flags.aligned
    if not fits or tuple(out.shape) != shape or out.dtype not in (np.float32, torch.float32):
        got = f"{type(out).__name__} {tuple(getattr(out, 'shape', ()))} {getattr(out, 'dtype', '')}".strip()
        raise DarkposeError(f"out must be contiguous float32 {shape}, of the keypoints' kind and device, got {got}")


def _draw(centres: torch.Tensor, sigma: float, radius: float, maps: NDArray[np.floating]) -> None:
    """Fill maps (N, K, H, W) float32."""
    height, width = maps.shape[2:]
    if _compiled():
        from darkpose.codec.encode_numba import draw_gaussians

        draw_gaussians(
            np.ascontiguousarray(centres.reshape(-1, 2).numpy()), float(sigma), radius, maps.reshape(-1, height, width)
        )
    else:
        along_x, along_y = profiles(centres, (width, height), sigma, radius)
        np.multiply(along_y.numpy()[..., :, None], along_x.numpy()[..., None, :], out=maps)


def _draw_tensor(
    centres: torch.Tensor, size: tuple[int, int], sigma: float, radius: float, out: torch.Tensor | None
) -> torch.Tensor:
    """Heatmaps (N, K, H, W) float32, in `out` if that is given."""
    if centres.device.type != "cpu":
        along_x, along_y = profiles(centres, size, sigma, radius)
        return torch.mul(along_y[..., :, None], along_x[..., None, :], out=out)
    if out is None:
        out = torch.from_numpy(np.empty((*centres.shape[:2], size[1], size[0]), np.float32))
    _draw(centres, sigma, radius, out.detach().numpy())
    return out


# ---------------------------------------------------------------------------------------------------------- decode


def decode(
    heatmaps: Array, *, method: Method = "dark", kernel_size: int = 11, covariance: bool = False
) -> Decoded[Array]:
    """Find one landmark in every heatmap.

    Args:
        heatmaps: (N, K, H, W); NumPy array or torch tensor of a floating type; never modified, and copied only where it
            is not contiguous (without Numba also where it is of half precision). Points and scores are float64 for
            float64 maps, else float32.
        method: "argmax": the highest cell, the first of equals; "quarter": a quarter cell towards the higher neighbour;
            "dark": the paper's decoder: blur, logarithm, one Newton step. A maximum in the two outer rows or columns
            stays where it is (for "quarter": the two first, the one last). "dark+": the same where the maximum is four
            cells inside, the Hessian negative definite and the step at most 1 px; elsewhere a Gaussian is fitted to the
            15x15 cells around the maximum, or those of them that there are. Such a point may lie up to 2 px outside the
            map; where no Gaussian fits it is the cell.
        kernel_size: of DARK's blur, odd; 11 for sigma 2, 17 for sigma 3.
        covariance: give the inverse of minus the Hessian, too: how wide the blurred peak is, not how far the point
            errs. Where "dark+" fits a Gaussian, its variance plus the blur's. For "dark" and "dark+" only.

    Returns:
        `Decoded` of the same kind and on the same device as `heatmaps`.

    Raises:
        DarkposeError: wrong rank or type, an empty map, an unknown method, an even kernel, a covariance of "argmax" or
            "quarter".

    Notes:
        With Numba the first call for float32, float64 or half-precision maps compiles for 5 to 8 s of CPU time; the
        code is kept, and later processes load it in 0.7 s (with Numba itself 1.2 s). Then 98 maps of 64x64 take less
        than 0.1 ms. Maps are shared among as many threads as `torch.set_num_threads` says. A map with cells at or below
        1e-10 around its maximum takes some tens of microseconds more: its logarithm is clipped, by the whole map's
        scale.

        On a GPU the call waits for the maps, to see whether there are such. `dark_torch.decode_torch` does not wait,
        and is what torch.compile and export take: it tells which maps were clipped.
    """
    if not isinstance(heatmaps, torch.Tensor):
        heatmaps = np.asarray(heatmaps)
    if heatmaps.ndim != 4 or heatmaps.shape[2] < 1 or heatmaps.shape[3] < 1:
        raise DarkposeError(f"heatmaps must be (N, K, H, W) with H, W >= 1, got {tuple(heatmaps.shape)}")
    if method not in _METHODS:
        raise DarkposeError(f'method must be "argmax", "quarter", "dark" or "dark+", got {method!r}')
    refined = method in ("dark", "dark+")
    if covariance and not refined:
        raise DarkposeError(f'covariance needs the method "dark" or "dark+", got {method!r}')
    taps = _taps(kernel_size if refined else 1)
    if isinstance(heatmaps, torch.Tensor):
        if not heatmaps.is_floating_point():
            raise DarkposeError(
                f"heatmaps must be of a floating type, got {str(heatmaps.dtype).removeprefix('torch.')}"
            )
        if heatmaps.device.type != "cpu":
            return _decode_elsewhere(heatmaps, method, kernel_size if refined else 1, covariance)
        points, scores, spread = _decode_array(_as_array(heatmaps), method, taps, covariance)
        tensors = Decoded(torch.from_numpy(points), torch.from_numpy(scores))
        tensors.covariance = None if spread is None else torch.from_numpy(spread)
        return tensors
    if heatmaps.dtype.kind != "f":
        raise DarkposeError(f"heatmaps must be of a floating type, got {heatmaps.dtype}")
    found = _decode_array(heatmaps, method, taps, covariance)
    decoded = Decoded(found.points, found.scores)
    decoded.covariance = found.covariance
    return decoded


_taps = lru_cache(typed=True)(modulation_kernel)


def _as_array(maps: torch.Tensor) -> NDArray[Any]:
    """A tensor on the CPU as an array over its memory; bfloat16 as int16 for `dark_numba`."""
    maps = maps.detach()
    if maps.dtype == torch.bfloat16 and _compiled():
        return maps.view(torch.int16).numpy()
    known = maps.dtype in (torch.float16, torch.float32, torch.float64)
    return (maps if known else maps.float()).numpy()


def _decode_array(maps: NDArray[Any], method: Method, taps: NDArray[np.float64], covariance: bool) -> Found:
    """Landmarks of (N, K, H, W), decoded as N*K maps; int16 holds bfloat16."""
    n, k, height, width = maps.shape
    compiled = _compiled() and maps.dtype.char in "efdh" and maps.dtype.isnative
    decode_maps = _fused().decode_maps if compiled else dark.decode_maps
    points, scores, spread = decode_maps(maps.reshape(n * k, height, width), method, taps, covariance)
    spread = None if spread is None else spread.reshape(n, k, 2, 2)
    return Found(points.reshape(n, k, 2), scores.reshape(n, k), spread)


@cache
def _fused() -> Any:
    """The module, which is loaded here."""

    from darkpose.codec import dark_numba

    return dark_numba


@cache
def _fused_gpu() -> Any:
    """The module, which is loaded here."""

    from darkpose.codec import dark_triton

    return dark_triton


def _decode_elsewhere(maps: torch.Tensor, method: Method, kernel_size: int, covariance: bool) -> Decoded[torch.Tensor]:
    """Landmarks of maps on another device; those of a map that the clip touches are found on the CPU."""
    fused = _fused_gpu()
    find = fused.decode_gpu if fused.fits(maps, method) else decode_torch
    points, scores, spread, clipped = find(maps, method=method, kernel_size=kernel_size)
    n, k = clipped.nonzero(as_tuple=True)
    if len(n):
        again = decode(maps[n, k][None].cpu(), method=method, kernel_size=kernel_size, covariance=True)
        points[n, k] = again.points[0].to(maps.device)
        if again.covariance is not None:
            spread[n, k] = again.covariance[0].to(maps.device)
    decoded = Decoded(points, scores)
    decoded.covariance = spread if covariance else None
    return decoded
