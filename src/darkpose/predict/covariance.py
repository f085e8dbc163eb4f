"""How far landmarks may be off: the widths of heatmap peaks, calibrated by annotated faces.

`heatmap.decode(..., covariance=True)` says how wide a blurred peak is: C, the inverse of minus the Hessian of its
logarithm. That is no error yet: even the peak of a network that is sure is as wide as the target Gaussian and the blur
together, `peak_width`, 7.8 px^2 at sigma 2. What is wider tells of doubt. The calibrated covariance of landmark k is

    floor_k I + scale_k (C - width I)+,

where ()+ sets negative eigenvalues to 0. The floor is what is left where the network is sure, the annotators'
disagreement above all. docs/decoding.md says how this was chosen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.codec.blur import blur_variance, modulation_kernel
from darkpose.errors import DarkposeError

Floats = NDArray[np.float64]
LEVELS = (0.5, 0.9, 0.95)  # of the regions that a fit is to get right
RATIOS = (0.0, *np.geomspace(0.01, 100, 33).tolist())  # of scale to floor, px^-2, that a fit tries
TAILS = 4.0  # degrees of freedom of Student's t, by whose likelihood a ratio is chosen: far outliers do not decide
LEAST = 1e-9  # px^2, the smallest floor
FEWEST = 10  # errors to fit a landmark by


@dataclass(frozen=True)
class Calibration:
    """What makes the widths of a network's peaks covariances of its errors.

    Attributes:
        schema: name of the markup.
        width: heatmap px^2, of the peak of a network that is sure (see `peak_width`).
        scale: (K,) factor of what is wider than that, not negative; NaN where a landmark has no calibration.
        floor: (K,) heatmap px^2, along both axes, positive; NaN there, too.
        fitted: how and on what it was fitted; JSON values.
    """

    schema: str
    width: float
    scale: tuple[float, ...]
    floor: tuple[float, ...]
    fitted: Mapping[str, Any]

    def __post_init__(self) -> None:
        if not self.scale or len(self.scale) != len(self.floor):
            raise DarkposeError(f"one scale and one floor per landmark, got {len(self.scale)} and {len(self.floor)}")
        known = ~(np.isnan(self.scale) & np.isnan(self.floor))
        for name, values, least in (
            ("width", np.array([self.width]), 0),
            ("scale", np.asarray(self.scale, np.float64)[known], 0),
            ("floor", np.asarray(self.floor, np.float64)[known], LEAST),
        ):
            if not (np.isfinite(values) & (values >= least)).all():
                raise DarkposeError(f"{name} must be finite and at least {least:g}, got {getattr(self, name)}")


def peak_width(sigma: float, kernel_size: int) -> float:
    """Variance along either axis, heatmap px^2, of a target Gaussian after DARK's blur."""
    return sigma**2 + blur_variance(modulation_kernel(kernel_size))


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
    """By how much peaks (..., 2, 2) are wider than `width`: the positive part of C - width I; NaN stays NaN."""
    covariances = np.asarray(covariances, np.float64)
    known = np.isfinite(covariances).all(axis=(-2, -1), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(known, covariances, np.eye(2)))
    positive = (vectors * np.maximum(values - width, 0)[..., None, :]) @ np.swapaxes(vectors, -2, -1)
    return np.asarray(np.where(known, positive, np.nan))


def fit_calibration(
    errors: ArrayLike, covariances: ArrayLike, *, schema: str, width: float, fitted: Mapping[str, Any]
) -> Calibration:
    """The calibration under which peaks explain errors best.

    For each landmark and each of some ratios of scale to floor, both are set so that the quantiles of the squared
    Mahalanobis distances at `LEVELS` are those of chi^2 with 2 degrees of freedom, in the geometric mean. The ratio is
    the one under which the errors are likeliest, by Student's t. A landmark that no face has annotated has NaN.

    Args:
        errors: (N, K, 2) heatmap px, prediction minus annotation; not finite where there is no annotation.
        covariances: (N, K, 2, 2) heatmap px^2, of the peaks; not finite where not known.
        schema: name of the markup.
        width: as `peak_width` gives it.
        fitted: how and on what, to be kept with it.

    Raises:
        DarkposeError: shapes do not fit, or an annotated landmark has fewer than `FEWEST` errors.
    """
    errors, covariances = np.asarray(errors, np.float64), np.asarray(covariances, np.float64)
    if errors.ndim != 3 or covariances.shape != (*errors.shape, 2):
        raise DarkposeError(f"expected errors (N, K, 2) and their covariances, got {errors.shape}, {covariances.shape}")
    wider = excess(covariances, width)
    annotated = np.isfinite(errors).all(axis=-1)
    known = annotated & np.isfinite(wider).all(axis=(-2, -1))
    pairs = []
    for k in range(errors.shape[1]):
        if not annotated[:, k].any():
            pairs.append((float("nan"), float("nan")))
            continue
        if known[:, k].sum() < FEWEST:
            raise DarkposeError(f"landmark {k} has {known[:, k].sum()} errors, expected at least {FEWEST}")
        pairs.append(_fit_landmark(errors[known[:, k], k], wider[known[:, k], k]))
    scale, floor = zip(*pairs, strict=True)
    return Calibration(schema, width, scale, floor, fitted)


def _fit_landmark(errors: Floats, wider: Floats) -> tuple[float, float]:
    """Scale and floor of one landmark from errors (N, 2) and what their peaks are too wide, (N, 2, 2)."""
    found = []
    for ratio in RATIOS:
        shape = np.eye(2) + ratio * wider
        distances = squared_distances(errors, shape)
        quantiles = np.maximum(np.quantile(distances, LEVELS), LEAST) / chi2_quantile(LEVELS)
        floor = max(float(np.exp(np.log(quantiles).mean())), LEAST)
        likelihood = -np.log(floor) - 0.5 * np.log(np.linalg.det(shape))
        likelihood -= (TAILS + 2) / 2 * np.log1p(distances / floor / TAILS)
        found.append((float(likelihood.mean()), ratio * floor, floor))
    _, scale, floor = max(found, key=lambda each: each[0])  # the first of equals: no scale where no peak is wide
    return scale, floor


def coverage(errors: ArrayLike, covariances: ArrayLike, levels: ArrayLike) -> Floats:
    """Share of errors within the regions in which such shares of a Gaussian lie.

    Args:
        errors: (..., 2), and covariances: (..., 2, 2), the same units; where either is not finite neither counts.
        levels: (L,), for example 0.5, 0.9, 0.95.

    Returns:
        (L,); NaN where nothing counts.
    """
    distances = squared_distances(errors, covariances)
    counted = distances[np.isfinite(distances)]
    within = counted <= chi2_quantile(levels)[:, None]
    return np.asarray(within.mean(axis=1)) if counted.size else np.full(len(within), np.nan)


def spread(covariances: ArrayLike) -> Floats:
    """One number (...,) for covariances (..., 2, 2): the root of the trace, a root mean square distance."""
    return np.asarray(np.sqrt(np.trace(np.asarray(covariances, np.float64), axis1=-2, axis2=-1)))


def auroc(positive: ArrayLike, values: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive has the higher value than a negative; ties count half.

    Args:
        positive: (N,) bool.
        values: (N,); infinities are the highest, NaN is refused.

    Returns:
        From 0 to 1; NaN without a positive or without a negative.

    Raises:
        DarkposeError: a value is NaN.
    """
    chosen, values = np.asarray(positive, bool), np.asarray(values, np.float64)
    if np.isnan(values).any():
        raise DarkposeError("values must not be NaN: give infinity for what is not known")
    high, low = values[chosen], np.sort(values[~chosen])
    if not high.size or not low.size:
        return float("nan")
    below = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(below.mean() / 2 / low.size)


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
    """Polygons (..., corners, 2) around points (..., 2) within which a share `level` of a Gaussian lies."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    circle = np.sqrt(chi2_quantile(level)) * np.stack([np.cos(angle), np.sin(angle)])
    c = np.asarray(covariances, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        a = np.sqrt(c[..., 0, 0])
        b = c[..., 0, 1] / a
        root = np.stack([np.stack([a, 0 * a], -1), np.stack([b, np.sqrt(c[..., 1, 1] - b * b)], -1)], -2)
    return np.asarray(np.asarray(points, np.float64)[..., None, :] + np.swapaxes(root @ circle, -1, -2))
