"""Fits of covariance calibrations and shape priors, and measures of calibration: coverage, AUROC."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from darkpose.codec.dark import blur_variance, modulation_kernel
from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.predict.covariance import chi2_quantile, excess, squared_distances
from darkpose.predict.shape_prior import ShapePrior, ShapePriorConfig, image_to_box
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import SMALLEST_FLOOR, Calibration

LEVELS = (0.5, 0.9, 0.95)  # shares of errors within the regions that are fitted
RATIOS = (0.0, *np.geomspace(0.01, 100, 33).tolist())  # of scale to floor, px^-2, that are tried
DEGREES_OF_FREEDOM = 4.0  # of Student's t, which chooses the ratio: outliers have little weight
MIN_ERRORS = 10  # for the fit of a landmark


def peak_width(sigma: float, kernel_size: int) -> float:
    """Variance along either axis, heatmap px^2, of a target Gaussian after DARK's blur."""
    return sigma**2 + blur_variance(modulation_kernel(kernel_size))


def fit_calibration(
    errors: ArrayLike, covariances: ArrayLike, *, schema: str, width: float, fitted: Mapping[str, Any]
) -> Calibration:
    """Fit the calibration that explains errors best by the peaks of their heatmaps.

    For each landmark and each of `RATIOS` of scale to floor, both are set so that the quantiles of the squared
    Mahalanobis distances at `LEVELS` are those of chi^2 with 2 degrees of freedom, in the geometric mean. The ratio
    with the highest likelihood of the errors by Student's t is chosen. A landmark that is annotated nowhere has NaN.

    Args:
        errors: (N, K, 2) heatmap px, prediction minus annotation; not finite if there is no annotation.
        covariances: (N, K, 2, 2) heatmap px^2, of the peaks; not finite if not known.
        schema: name of the schema.
        width: as returned by `peak_width`.
        fitted: method and faces of the fit, kept with the calibration.

    Raises:
        DarkposeError: shapes do not fit, or an annotated landmark has fewer than `MIN_ERRORS` errors.
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
        if known[:, k].sum() < MIN_ERRORS:
            raise DarkposeError(f"landmark {k} has {known[:, k].sum()} errors, expected at least {MIN_ERRORS}")
        pairs.append(_fit_landmark(errors[known[:, k], k], wider[known[:, k], k]))
    scale, floor = zip(*pairs, strict=True)
    return Calibration(schema, width, scale, floor, fitted)


def _fit_landmark(errors: Floats, wider: Floats) -> tuple[float, float]:
    """Scale and floor of one landmark from errors (N, 2) and excess covariances of their peaks (N, 2, 2)."""
    found = []
    for ratio in RATIOS:
        shape = np.eye(2) + ratio * wider
        distances = squared_distances(errors, shape)
        quantiles = np.maximum(np.quantile(distances, LEVELS), SMALLEST_FLOOR) / chi2_quantile(LEVELS)
        floor = max(float(np.exp(np.log(quantiles).mean())), SMALLEST_FLOOR)
        likelihood = -np.log(floor) - 0.5 * np.log(np.linalg.det(shape))
        likelihood -= (DEGREES_OF_FREEDOM + 2) / 2 * np.log1p(distances / floor / DEGREES_OF_FREEDOM)
        found.append((float(likelihood.mean()), ratio * floor, floor))
    _, scale, floor = max(found, key=lambda each: each[0])  # the first of equals: no scale if no peak is wide
    return scale, floor


def fit_shape_prior(
    keypoints: ArrayLike,
    boxes: ArrayLike,
    schema: KeypointSchema,
    *,
    weights: ArrayLike | None = None,
    modes: int = 80,
    fitted: str = "",
    test_images: Sequence[str] = (),
    config: ShapePriorConfig | None = None,
) -> ShapePrior:
    """Fit a shape prior to annotated faces and their mirror images.

    Args:
        keypoints: (N, K, 2) image px, all landmarks annotated.
        boxes: (N, 4) x0, y0, x1, y1 of the landmarks, image px.
        schema: of the landmarks.
        weights: (N,) of the faces; None: all 1.
        modes: highest number of directions of variation.
        fitted: the faces, in words.
        test_images: names of images of test sets among them.
        config: settings of the prior; None: the defaults.

    Raises:
        DarkposeError: the shapes of the arrays do not match, numbers are not finite, or there are fewer than 3 faces.
    """
    points, edges = np.asarray(keypoints, np.float64), np.asarray(boxes, np.float64)
    counts = np.ones(len(points)) if weights is None else np.asarray(weights, np.float64)
    wanted = ((len(points), len(schema), 2), (len(points), 4), (len(points),))
    shapes = (points.shape, edges.shape, counts.shape)
    if shapes != wanted or len(points) < 3 or not np.isfinite(points).all() or not (counts > 0).all():
        raise DarkposeError(
            f"a shape prior of {schema.name} needs at least 3 faces with finite landmarks and positive weights, of "
            f"shapes {wanted}; got {shapes}"
        )
    faces = image_to_box(points, edges)
    mirrored = faces[:, schema.flip_index] * (-1, 1)
    rows = np.concatenate([faces, mirrored]).reshape(2 * len(points), -1)
    shares = np.tile(counts / counts.sum() / 2, 2)
    mean = shares @ rows
    offsets = rows - mean
    variances, directions = np.linalg.eigh(offsets.T @ (shares[:, None] * offsets))
    variances, directions = variances[::-1], directions[:, ::-1]
    kept = min(modes, int((variances > 1e-9).sum()))
    rest = max(float(variances[kept:].mean()) if kept < len(variances) else 0.0, 1e-9)
    scaled = (directions[:, :kept] * np.sqrt(variances[:kept])).T.reshape(kept, -1, 2)
    images = tuple(sorted(set(test_images)))
    return ShapePrior(schema.name, mean.reshape(-1, 2), scaled, rest, fitted, images, config or ShapePriorConfig())


def coverage(errors: ArrayLike, covariances: ArrayLike, levels: ArrayLike) -> Floats:
    """Share of errors within the regions that contain given shares of a Gaussian.

    Args:
        errors: (..., 2).
        covariances: (..., 2, 2), in the units of the errors, squared; pairs that are not finite do not count.
        levels: (L,) the given shares, for example 0.5, 0.9, 0.95.

    Returns:
        (L,); NaN if no pair is finite.
    """
    distances = squared_distances(errors, covariances)
    counted = distances[np.isfinite(distances)]
    within = counted <= chi2_quantile(levels)[:, None]
    return np.asarray(within.mean(axis=1)) if counted.size else np.full(len(within), np.nan)


def spread(covariances: ArrayLike) -> Floats:
    """Root mean square distance (...,) of covariances (..., 2, 2): the root of the trace."""
    return np.asarray(np.sqrt(np.trace(np.asarray(covariances, np.float64), axis1=-2, axis2=-1)))


def auroc(positive: ArrayLike, values: ArrayLike) -> float:
    """Area under the ROC curve: how often a positive has a higher value than a negative; ties count half.

    Args:
        positive: (N,) bool.
        values: (N,); they may be infinite, but not NaN.

    Returns:
        From 0 to 1; NaN without a positive or without a negative.

    Raises:
        DarkposeError: a value is NaN.
    """
    chosen, values = np.asarray(positive, bool), np.asarray(values, np.float64)
    if np.isnan(values).any():
        raise DarkposeError("values must not be NaN; use infinity for unknown ones")
    high, low = values[chosen], np.sort(values[~chosen])
    if not high.size or not low.size:
        return float("nan")
    below = np.searchsorted(low, high, side="left") + np.searchsorted(low, high, side="right")
    return float(below.mean() / 2 / low.size)
