"""The DARK codec: keypoints -> Gaussian heatmaps -> keypoints.

Source: Zhang, Zhu, Dai, Ye, Zhu, "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020:
unbiased encoding (section 3.3), modulation (3.2, eq. 10-11) and the Taylor step (3.2, eq. 4-9).

Convention of both directions: (x, y) in heatmap px; the centre of the first cell is (0, 0). NumPy arrays need no torch;
tensors are handled by `tensors`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from darkpose.codec.arrays import as_float64, decode_array, draw
from darkpose.codec.loaded_torch import is_tensor
from darkpose.codec.targets import centres_and_weights
from darkpose.errors import DarkposeError, check_unmasked

if TYPE_CHECKING:
    import torch

Array = TypeVar("Array", NDArray[np.floating], "torch.Tensor")
Method = Literal["argmax", "quarter", "dark", "dark+"]
_METHODS = get_args(Method)


@dataclass(frozen=True, eq=False)
class Decoded(Generic[Array]):
    """Landmarks found in heatmaps. It unpacks as two: `points, scores = decode(heatmaps)`.

    Attributes:
        points: (N, K, 2) heatmap px, float32 (float64 for float64 maps); (-1, -1) where a map has no positive maximum
            or holds a NaN.
        scores: (N, K) of the same type, the maximum of each map as it was given; NaN where the map holds one.
        covariance: (N, K, 2, 2) of the same type, heatmap px^2, NaN where it is not known; None if not asked for.
    """

    points: Array
    scores: Array
    covariance: Array | None = None

    def __iter__(self) -> Iterator[Array]:
        """Points and scores."""
        return iter((self.points, self.scores))


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
    """Draw Gaussian target heatmaps.

    Args:
        keypoints: (N, K, 2) heatmap px; NumPy array or torch tensor. A landmark that is not finite is not drawn.
        visible: (N, K), above 0 where a landmark is annotated (NaN is not); None: all are. A map is drawn where it
            exceeds 0.5.
        size: (W, H) of the maps.
        sigma: standard deviation in heatmap px.
        unbiased: centre the Gaussian on the landmark itself, over the whole map (DARK; values below 2e-19 along x or y
            are 0). False: round the landmark to a cell and draw within 3 sigma (the quantised "MSRA" target).
        truncate: draw unbiased Gaussians within 3 sigma along x and y, too; beyond it they are below 0.0112.
        out: (N, K, H, W) float32, contiguous, an array for an array, a tensor on the same device for a tensor. It is
            filled and returned, which is faster than new memory. None: a new one.

    Returns:
        heatmaps (N, K, H, W) float32 and weights (N, K) float32, of the same kind and device as `keypoints`. A weight
        is 0 where the landmark is more than 3 sigma and one px outside the map (on the right and below also at exactly
        that distance), as in the reference, else the visibility. With `truncate`, nothing is drawn for a landmark more
        than 3 sigma outside.

    Raises:
        DarkposeError: a wrong shape, masked values, a `sigma` or `size` that is not positive, or an unsuitable `out`.

    Notes:
        With Numba the first call compiles for about 1.3 s of CPU time; the compiled code is kept on disk, as for
        `decode`.
    """
    points: Any
    seen: Any
    if is_tensor(keypoints):
        from darkpose.codec import tensors

        points, seen = tensors.as_points(keypoints, visible)
    else:
        points = as_float64(keypoints, "keypoints")
        if is_tensor(visible):
            from darkpose.codec import tensors

            seen = as_float64(tensors.plain(visible, "visible"), "visible")
        else:
            seen = np.ones(points.shape[:2]) if visible is None else as_float64(visible, "visible")
    if points.ndim != 3 or points.shape[-1] != 2:
        raise DarkposeError(f"keypoints must be (N, K, 2) in heatmap px, got {tuple(points.shape)}")
    if not isinstance(size, Sequence | np.ndarray) or len(size) != 2 or not all(_is_side(side) for side in size):
        raise DarkposeError(f"size must be two positive whole numbers, (W, H), got {size}")
    if seen.shape != points.shape[:2]:
        raise DarkposeError(f"visible must be {tuple(points.shape[:2])}, as the keypoints, got {tuple(seen.shape)}")
    if not isinstance(sigma, Real) or not 0 < sigma < np.inf:
        raise DarkposeError(f"sigma must be a positive number, got {sigma!r}")
    shape = (*points.shape[:2], size[1], size[0])
    if out is not None:
        _check_out(out, keypoints, shape)
    centres, weights = centres_and_weights(points, seen, size, sigma, unbiased)
    radius = 3.0 * sigma if truncate or not unbiased else np.inf
    if is_tensor(keypoints):
        return tensors.draw_tensor(centres, size, sigma, radius, out), weights
    maps = np.empty(shape, np.float32) if out is None else out
    draw(centres, sigma, radius, maps)
    return maps, weights


def _is_side(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and bool(value >= 1)


def _check_out(out: Any, keypoints: Any, shape: tuple[int, ...]) -> None:
    if is_tensor(keypoints):
        from darkpose.codec import tensors

        out = tensors.plain(out, "out") if is_tensor(out) else out
        fits = is_tensor(out) and out.device == keypoints.device and out.is_contiguous()
    else:
        check_unmasked("out", out)
        fits = isinstance(out, np.ndarray) and out.flags.c_contiguous and out.flags.writeable and out.flags.aligned
    kind = str(getattr(out, "dtype", "")).removeprefix("torch.")
    if not fits or tuple(out.shape) != shape or kind != "float32":
        got = f"{type(out).__name__} {tuple(getattr(out, 'shape', ()))} {kind}".strip()
        raise DarkposeError(f"out must be contiguous float32 {shape}, of the keypoints' kind and device, got {got}")


# ---------------------------------------------------------------------------------------------------------- decode


def decode(
    heatmaps: Array, *, method: Method = "dark", kernel_size: int = 11, covariance: bool = False
) -> Decoded[Array]:
    """Find one landmark in every heatmap.

    Args:
        heatmaps: (N, K, H, W); NumPy array or torch tensor of a floating type; never modified, and copied only where it
            is not contiguous or longer than float64 (without Numba also where it is of half precision). Points and
            scores are float64 for float64 and longer maps, else float32.
        method: "argmax": the highest cell, the first of equal ones; "quarter": a quarter cell towards the higher
            neighbour; "dark": the paper's decoder: blur, logarithm, one Newton step. A maximum in the two outer rows or
            columns stays where it is (for "quarter": the two first, the one last). "dark+": the same where the maximum
            is four cells inside, the Hessian negative definite and the step at most 1 px; elsewhere a Gaussian is
            fitted to the cells of the map within 15x15 around the maximum. Such a point may be up to 2 px outside the
            map; where no Gaussian fits it is the cell.
        kernel_size: of DARK's blur, odd; 11 for sigma 2, 17 for sigma 3.
        covariance: also return the inverse of minus the Hessian: how wide the blurred peak is, not how far the point
            is from the truth. Where "dark+" fits a Gaussian, its variance plus the blur's. For "dark" and "dark+" only.

    Returns:
        `Decoded` of the same kind and on the same device as `heatmaps`.

    Raises:
        DarkposeError: wrong rank or type (whole numbers, complex, sparse, nested, meta, ...), masked values, an empty
            map, an unknown method, an even kernel, a covariance of "argmax" or "quarter".

    Notes:
        With Numba the first call for float32, float64 or half-precision maps compiles for 5 to 8 s of CPU time; the
        compiled code is kept on disk, and later processes load it in 0.7 s (with Numba itself 1.2 s). Then 98 maps of
        64x64 take less than 0.1 ms. Many maps are shared among threads: as many as `torch.set_num_threads` says, or
        without torch as there are CPUs. A map with cells at or below 1e-10 around its maximum takes some tens of
        microseconds longer: its logarithm is clipped, by the scale of the whole map.

        On a GPU the call waits for the maps, to see whether any is clipped. `dark_torch.decode_torch` does not wait and
        is what torch.compile and torch.export take; it returns which maps were clipped.
    """
    maps: Any
    if is_tensor(heatmaps):
        from darkpose.codec import tensors

        maps = tensors.plain(heatmaps, "heatmaps")
    else:
        check_unmasked("heatmaps", heatmaps)
        maps = np.asarray(heatmaps)
        if maps.dtype.kind == "f" and maps.dtype.itemsize > 8:  # long double
            maps = maps.astype(np.float64)
    if maps.ndim != 4 or maps.shape[2] < 1 or maps.shape[3] < 1:
        raise DarkposeError(f"heatmaps must be (N, K, H, W) with H, W >= 1, got {tuple(maps.shape)}")
    if method not in _METHODS:
        raise DarkposeError(f'method must be "argmax", "quarter", "dark" or "dark+", got {method!r}')
    is_dark = method in ("dark", "dark+")
    if covariance and not is_dark:
        raise DarkposeError(f'covariance needs the method "dark" or "dark+", got {method!r}')
    if not (maps.is_floating_point() if is_tensor(maps) else maps.dtype.kind == "f"):
        kind = str(maps.dtype).removeprefix("torch.")
        raise DarkposeError(f"heatmaps must be of a floating type, got {kind}")
    blur = kernel_size if is_dark else 1
    found: Any
    if is_tensor(maps):
        found = tensors.decode_tensor(maps, method, blur, covariance)
    else:
        found = decode_array(maps, method, blur, covariance)
    return Decoded(found.points, found.scores, found.covariance)
