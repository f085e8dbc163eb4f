"""Covariances of landmarks: the widths of heatmap peaks, calibrated on annotated faces.

`heatmap.decode(..., covariance=True)` gives the width of a blurred peak: C, the inverse of minus the Hessian of its
logarithm. That is not an error yet: where the network is sure, the peak is as wide as the target Gaussian and the blur
together, 7.8 px^2 at sigma 2. A wider peak shows doubt. The calibrated covariance of landmark k is

    floor_k I + scale_k (C - width I)+,

where ()+ sets negative eigenvalues to 0. The floor is the error where the network is sure: above all, annotators
disagree. docs/decoding.md explains the choice.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError
from darkpose.weights.calibrations import Calibration

Floats = NDArray[np.float64]


def calibrated(covariances: ArrayLike, calibration: Calibration) -> Floats:
    """Covariances of the errors, (N, K, 2, 2), from those of the peaks, in heatmap px^2; NaN where either is.

    Raises:
        DarkposeError: K is not the calibration's.
    """
    covariances = np.asarray(covariances, np.float64)
    if covariances.ndim != 4 or covariances.shape[1:] != (len(calibration.scale), 2, 2):
        raise DarkposeError(f"expected covariances (N, {len(calibration.scale)}, 2, 2), got {covariances.shape}")
    scale, floor = (np.array(each)[:, None, None] for each in (calibration.scale, calibration.floor))
    return np.asarray(floor * np.eye(2) + scale * excess(covariances, calibration.width))


def excess(covariances: ArrayLike, width: float) -> Floats:
    """The width of peaks (..., 2, 2) beyond `width`: the positive part of C - width I; NaN stays NaN."""
    covariances = np.asarray(covariances, np.float64)
    known = np.isfinite(covariances).all(axis=(-2, -1), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(known, covariances, np.eye(2)))
    positive = (vectors * np.maximum(values - width, 0)[..., None, :]) @ np.swapaxes(vectors, -2, -1)
    return np.asarray(np.where(known, positive, np.nan))


def in_image(peaks: ArrayLike, calibration: Calibration | None, sides: ArrayLike, size: tuple[int, int]) -> Floats:
    """Covariances in the image from the widths of peaks.

    Args:
        peaks: (N, K, 2, 2) heatmap px^2.
        calibration: None: the covariances are not known.
        sides: (N, 2) = (width, height) of the upright crops, image px.
        size: (W, H) of the heatmaps.

    Returns:
        (N, K, 2, 2) image px^2; NaN where it is not known.
    """
    if calibration is None:
        return np.full(np.shape(peaks), np.nan)
    scale = np.asarray(sides, np.float64)[:, None] / np.asarray(size)  # image px per heatmap px
    return np.asarray(calibrated(peaks, calibration) * scale[..., :, None] * scale[..., None, :])


def carried(covariances: ArrayLike, jacobian: ArrayLike) -> Floats:
    """Covariances (..., 2, 2) in another frame, J C J^T.

    Args:
        covariances: (..., 2, 2).
        jacobian: (2, 2), of the map into the other frame: of an affine matrix (2, 3), the first two columns.
    """
    jacobian = np.asarray(jacobian, np.float64)
    return np.asarray(jacobian @ np.asarray(covariances, np.float64) @ jacobian.T)


def chi2_quantile(level: ArrayLike) -> Floats:
    """Quantile of the chi^2 distribution with 2 degrees of freedom."""
    return np.asarray(-2 * np.log1p(-np.asarray(level, np.float64)))


def squared_distances(errors: ArrayLike, covariances: ArrayLike) -> Floats:
    """Squared Mahalanobis distances (...,) of errors (..., 2) under covariances (..., 2, 2); NaN where either is."""
    errors, c = np.asarray(errors, np.float64), np.asarray(covariances, np.float64)
    x, y = errors[..., 0], errors[..., 1]
    determinant = c[..., 0, 0] * c[..., 1, 1] - c[..., 0, 1] * c[..., 1, 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        top = c[..., 1, 1] * x * x - (c[..., 0, 1] + c[..., 1, 0]) * x * y + c[..., 0, 0] * y * y
        return np.asarray(top / determinant)


def ellipse(points: ArrayLike, covariances: ArrayLike, level: float, corners: int = 48) -> Floats:
    """Polygons (..., corners, 2) around points (..., 2) that hold a fraction `level` of a Gaussian."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    circle = np.sqrt(chi2_quantile(level)) * np.stack([np.cos(angle), np.sin(angle)])
    c = np.asarray(covariances, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.sqrt(c[..., 0, 0])
        b = c[..., 0, 1] / a
        root = np.stack([np.stack([a, 0 * a], -1), np.stack([b, np.sqrt(c[..., 1, 1] - b * b)], -1)], -2)
    return np.asarray(np.asarray(points, np.float64)[..., None, :] + np.swapaxes(root @ circle, -1, -2))
