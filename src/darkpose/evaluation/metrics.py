"""Metrics of landmarks: arrays in, numbers out."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from darkpose.errors import DarkposeError, check_unmasked


def normalised_errors(predicted: ArrayLike, annotated: ArrayLike, normaliser: ArrayLike) -> NDArray[np.float64]:
    """Distance of every landmark from its annotation over the face's normaliser.

    Args:
        predicted, annotated: (N, K, 2), the same frame and units.
        normaliser: (N,) positive, same units.

    Returns:
        (N, K) float64 fractions.

    Raises:
        DarkposeError: shapes differ, values are masked, or a normaliser is not a positive finite number.
    """
    predicted, annotated = _floats("predicted", predicted), _floats("annotated", annotated)
    normaliser = _floats("normaliser", normaliser)
    if predicted.shape != annotated.shape or predicted.ndim != 3 or predicted.shape[-1] != 2:
        raise DarkposeError(f"landmarks must both be (N, K, 2), got {predicted.shape} and {annotated.shape}")
    if normaliser.shape != predicted.shape[:1]:
        raise DarkposeError(f"one normaliser per face: expected ({len(predicted)},), got {normaliser.shape}")
    bad = np.flatnonzero(~(np.isfinite(normaliser) & (normaliser > 0)))
    if bad.size:
        raise DarkposeError(f"face {bad[0]} has the normaliser {normaliser[bad[0]]}; it must be positive and finite")
    return np.asarray(np.linalg.norm(predicted - annotated, axis=-1) / normaliser[:, None])


def nme(
    predicted: ArrayLike,
    annotated: ArrayLike,
    normaliser: ArrayLike,
    visible: ArrayLike | None = None,
    *,
    compat: Literal["none", "reference"] = "none",
) -> float:
    """Normalised mean error, pooled over all visible landmarks of all faces (the published average), as a fraction.

    Args:
        predicted, annotated: (N, K, 2), the same frame and units.
        normaliser: (N,) positive, same units.
        visible: (N, K), landmarks above 0 count; None: all.
        compat: "reference": as in the reference implementation, a face with a normaliser of 0 does not count, one with
            a negative normaliser counts with an error near 0, and the NME without visible landmarks is 0.

    Returns:
        The mean; NaN if nothing is visible.

    Raises:
        DarkposeError: as `normalised_errors`, or `visible` has another shape.
    """
    lengths, dropped = _floats("normaliser", normaliser), np.zeros(np.shape(normaliser), bool)
    if compat == "reference":
        dropped = lengths == 0
        lengths = np.where(lengths > 0, lengths, 1e6)
    errors = normalised_errors(predicted, annotated, lengths)
    seen = np.ones(errors.shape) if visible is None else _floats("visible", visible)
    if seen.shape != errors.shape:
        raise DarkposeError(f"visible must be {errors.shape}, as the landmarks, got {seen.shape}")
    counted = errors[(seen > 0) & ~dropped[:, None]]
    return float(counted.mean()) if counted.size else (0.0 if compat == "reference" else float("nan"))


def face_errors(errors: ArrayLike, visible: ArrayLike | None = None) -> NDArray[np.float64]:
    """Mean error of every face over its visible landmarks.

    Args:
        errors: (N, K) normalised errors; a face that was not found has infinite ones.
        visible: (N, K), landmarks above 0 count; None: all.

    Returns:
        (N,) float64; NaN for a face without a visible landmark.
    """
    errors = _floats("errors", errors)
    seen = np.ones(errors.shape, bool) if visible is None else _floats("visible", visible) > 0
    total = np.where(seen, errors, 0).sum(axis=1)
    count = seen.sum(axis=1)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def failure_rate(errors: ArrayLike, threshold: float) -> float:
    """FR: share of faces whose mean error exceeds the threshold; a face that was not found (infinite) does.

    Args:
        errors: (N,) mean errors of faces, as `face_errors` gives them; NaN ones do not count.
        threshold: in the errors' unit, for example 0.10.
    """
    counted = _counted(errors)
    return float((counted > threshold).mean()) if counted.size else float("nan")


def ced(errors: ArrayLike, thresholds: ArrayLike) -> NDArray[np.float64]:
    """Cumulative error distribution: share of faces whose mean error does not exceed each threshold.

    Args:
        errors: (N,) mean errors of faces; NaN ones do not count.
        thresholds: (T,), same unit.

    Returns:
        (T,) float64.
    """
    counted = np.sort(_counted(errors))
    return np.searchsorted(counted, np.asarray(thresholds, np.float64), side="right") / max(counted.size, 1)


def auc(errors: ArrayLike, threshold: float) -> float:
    """Area under the CED from 0 to the threshold, over the threshold; exact, not summed over steps.

    The area under a step that rises at e is threshold - e, so the mean of max(0, 1 - e / threshold) is the area.

    Args:
        errors: (N,) mean errors of faces; NaN ones do not count.
        threshold: same unit, for example 0.10.
    """
    counted = _counted(errors)
    return float(np.maximum(0, 1 - counted / threshold).mean()) if counted.size else float("nan")


def bootstrap_interval(
    values: ArrayLike,
    statistic: Callable[[NDArray[np.float64]], float],
    *,
    groups: ArrayLike | None = None,
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a statistic of faces (Efron, 1979).

    Args:
        values: (N, ...) a row per face; rows of one group are drawn together.
        statistic: of the drawn rows.
        groups: (N,) the image of every face; None: every face by itself.
        draws: bootstrap samples.
        level: of the interval.
        seed: of the draws.

    Returns:
        Lower and upper end.
    """
    values = _floats("values", values)
    _, membership = np.unique(np.arange(len(values)) if groups is None else np.asarray(groups), return_inverse=True)
    order, sizes = np.argsort(membership, kind="stable"), np.bincount(membership)
    firsts = np.cumsum(sizes) - sizes
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        sample = rng.integers(0, len(sizes), len(sizes))
        lengths = sizes[sample]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        found.append(statistic(values[order[np.repeat(firsts[sample], lengths) + within]]))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _counted(errors: ArrayLike) -> NDArray[np.float64]:
    errors = _floats("errors", errors)
    return np.asarray(errors[~np.isnan(errors)])


def _floats(name: str, values: ArrayLike) -> NDArray[np.float64]:
    """An array from a caller in float64; masked values are refused."""
    check_unmasked(name, values)
    return np.asarray(values, np.float64)
