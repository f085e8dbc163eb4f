"""Metrics of landmarks: arrays in, numbers out."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError


def normalised_errors(predicted: ArrayLike, annotated: ArrayLike, normaliser: ArrayLike) -> NDArray[np.float64]:
    """Distance of every landmark from its annotation over the face's normaliser.

    Args:
        predicted, annotated: (N, K, 2), the same frame and units.
        normaliser: (N,) positive, same units.

    Returns:
        (N, K) float64 fractions.

    Raises:
        DarkposeError: shapes differ, or a normaliser is not a positive finite number.
    """
    predicted, annotated = np.asarray(predicted, np.float64), np.asarray(annotated, np.float64)
    normaliser = np.asarray(normaliser, np.float64)
    if predicted.shape != annotated.shape or predicted.ndim != 3 or predicted.shape[-1] != 2:
        raise DarkposeError(f"landmarks must both be (N, K, 2), got {predicted.shape} and {annotated.shape}")
    if normaliser.shape != predicted.shape[:1]:
        raise DarkposeError(f"one normaliser per face: expected ({len(predicted)},), got {normaliser.shape}")
    bad = np.flatnonzero(~(np.isfinite(normaliser) & (normaliser > 0)))
    if bad.size:
        raise DarkposeError(f"face {bad[0]} has the normaliser {normaliser[bad[0]]}; it must be positive and finite")
    return np.asarray(np.linalg.norm(predicted - annotated, axis=-1) / normaliser[:, None])


def nme(predicted: ArrayLike, annotated: ArrayLike, normaliser: ArrayLike, visible: ArrayLike | None = None) -> float:
    """Normalised mean error, pooled over all visible landmarks of all faces (the published average), as a fraction.

    Args:
        predicted, annotated: (N, K, 2), the same frame and units.
        normaliser: (N,) positive, same units.
        visible: (N, K), landmarks above 0 count; None: all.

    Returns:
        The mean; NaN where nothing is visible.

    Raises:
        DarkposeError: as `normalised_errors`.
    """
    errors = normalised_errors(predicted, annotated, normaliser)
    seen = np.ones(errors.shape) if visible is None else np.asarray(visible)
    if seen.shape != errors.shape:
        raise DarkposeError(f"visible must be {errors.shape}, as the landmarks, got {seen.shape}")
    counted = errors[seen > 0]
    return float(counted.mean()) if counted.size else float("nan")
