"""Metrics of one face over time: error, jitter and lag of a clip, and of several clips together.

Arrays in, numbers out. In a frame in which the face was not found, every predicted coordinate is NaN.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from darkpose.errors import DarkposeError
from darkpose.evaluation.metrics import auc, face_errors, failure_rate, normalised_errors
from darkpose.image.geometry import Floats
from darkpose.schema import KeypointSchema

THRESHOLD = 0.08  # of FR and AUC, as published for 300-VW
MOST_LAG = 0.5  # s
_PRECISION = 1e-5  # s, of the lag
_STANDARD = 256.0  # px, side of the square face to which jitter is scaled


@dataclass(frozen=True, eq=False)
class ClipErrors:
    """Errors of one clip.

    Attributes:
        name: of the clip.
        errors: (T,) mean error of every frame over the distance of the outer eye corners; infinite where the face was
            not found.
        jitter: as `jitter`.
        lag: as `lag`, s.
        step: median time between two frames, s.
    """

    name: str
    errors: Floats = field(repr=False)
    jitter: float
    lag: float
    step: float

    @property
    def found(self) -> Floats:
        """Errors of the frames in which the face was found."""
        return np.asarray(self.errors[np.isfinite(self.errors)])

    @property
    def nme(self) -> float:
        """Mean error of the frames in which the face was found, as a fraction; NaN if there is none."""
        return float(self.found.mean()) if self.found.size else float("nan")

    @property
    def lag_frames(self) -> float:
        """The lag in frames."""
        return self.lag / self.step


@dataclass(frozen=True)
class ClipsSummary:
    """Errors of several clips together.

    Attributes:
        clips, frames: their numbers.
        missed: frames in which the face was not found.
        nme: mean over points, then found frames, then clips (those in which the face was found), as a fraction.
        jitter: mean over the clips that have one.
        lag: median over the clips that have one, s.
        failure_rate: share of all frames whose error exceeds the threshold; missed frames do.
        auc: area under the curve of the errors of all frames up to the threshold, over the threshold.
        threshold: as a fraction.
    """

    clips: int
    frames: int
    missed: int
    nme: float
    jitter: float
    lag: float
    failure_rate: float
    auc: float
    threshold: float


def measure_clip(
    name: str, times: ArrayLike, predicted: ArrayLike, annotated: ArrayLike, schema: KeypointSchema
) -> ClipErrors:
    """The errors of one clip with one annotated face in every frame.

    Errors are over the distance of the outer eye corners, as published for 300-VW (36 and 45 of 68) and WFLW-V (60 and
    72 of 98).

    Args:
        name: of the clip, also for messages.
        times: (T,) s, rising.
        predicted: (T, K, 2) image px; a frame of NaN: the face was not found.
        annotated: (T, K, 2) image px.
        schema: of both.

    Raises:
        DarkposeError: shapes differ, an annotation is not finite, times do not rise, a frame is found in part only, or
            the schema has no outer eye corners.
    """
    try:
        return _measure_clip(name, _checked(times, predicted, annotated), schema)
    except DarkposeError as error:
        raise DarkposeError(f"{name}: {error}") from error


def _measure_clip(name: str, clip: tuple[Floats, Floats, Floats], schema: KeypointSchema) -> ClipErrors:
    times, predicted, annotated = clip
    if annotated.shape[1] != len(schema) or schema.nme_pair is None:
        corners = "with outer eye corners" if schema.nme_pair is None else f"of {annotated.shape[1]} landmarks"
        raise DarkposeError(f"expected a schema {corners}, got {schema.name} with {len(schema)} landmarks")
    first, second = schema.nme_pair
    normaliser = np.linalg.norm(annotated[:, first] - annotated[:, second], axis=1)
    errors = face_errors(normalised_errors(predicted, annotated, normaliser))
    step = float(np.median(np.diff(times))) if len(times) > 1 else float("nan")
    errors = np.where(np.isnan(errors), np.inf, errors)
    return ClipErrors(name, errors, jitter(predicted, annotated), lag(*clip), step)


def summarise(clips: Sequence[ClipErrors], threshold: float = THRESHOLD) -> ClipsSummary:
    """The errors of several clips together.

    FR and AUC count all frames of all clips alike, as the published curves of 300-VW do.

    Raises:
        DarkposeError: there is no clip.
    """
    if not clips:
        raise DarkposeError("expected the errors of clips, got none")
    errors = np.concatenate([clip.errors for clip in clips])
    return ClipsSummary(
        clips=len(clips),
        frames=errors.size,
        missed=int(np.isinf(errors).sum()),
        nme=_known(np.mean, [clip.nme for clip in clips]),
        jitter=_known(np.mean, [clip.jitter for clip in clips]),
        lag=_known(np.median, [clip.lag for clip in clips]),
        failure_rate=failure_rate(errors, threshold),
        auc=auc(errors, threshold),
        threshold=threshold,
    )


def jitter(predicted: ArrayLike, annotated: ArrayLike) -> float:
    """NMJ: how much the error changes from frame to frame, in percent of a standard face (LDEQ, CVPR 2023).

    "Recurrence without Recurrence" (Micaelli et al.) calls it normalised mean flicker, its published code NMJ. With
    d(t, k) = annotated - predicted, J(t, k) = 100 |d(t, k) - d(t+1, k)| / s(t+1), where s is sqrt(w h / 256^2) of the
    tight extent w, h of the annotated landmarks. The value is the root mean square over the landmarks, then over the
    transitions. A constant error gives 0. It depends on the frame rate: compare clips of the same rate only.

    Args:
        predicted: (T, K, 2) px; transitions from or to a frame of NaN do not count.
        annotated: (T, K, 2) px.

    Returns:
        NaN if no transition counts.

    Raises:
        DarkposeError: shapes differ, or as `measure_clip`.
    """
    _, predicted, annotated = _checked(None, predicted, annotated)
    error = annotated - predicted
    extents = np.ptp(annotated, axis=1)
    if not (extents > 0).all():
        raise DarkposeError("annotated landmarks of a frame lie on one line along an axis")
    scales = np.sqrt(extents.prod(axis=1)) / _STANDARD
    change = 100 * np.linalg.norm(error[:-1] - error[1:], axis=2) / scales[1:, None]
    squares = (change**2).mean(axis=1)
    counted = squares[~np.isnan(squares)]
    return float(np.sqrt(counted.mean())) if counted.size else float("nan")


def lag(times: ArrayLike, predicted: ArrayLike, annotated: ArrayLike, most: float = MOST_LAG) -> float:
    """By how many seconds predictions are late: the d that minimises the sum of |predicted(t) - annotated(t - d)|^2.

    The annotation is interpolated linearly in time. At a constant velocity, d is the steady offset over the velocity.
    Unlike a regression on the velocity, a delay by whole frames is found exactly in any motion. A constant error of the
    landmarks biases d where a face moves in one direction only; the lag of a smoothing alone is that of the smoothed
    predictions against those that are not smoothed. There is no published standard.

    Args:
        times: (T,) s, rising.
        predicted: (T, K, 2) px; a frame of NaN does not count.
        annotated: (T, K, 2) px.
        most: the largest lag or lead that is tried, s; at most a quarter of the clip's length is.

    Returns:
        s, negative for predictions that are early; NaN for a clip in which nothing moves or too little was found.

    Raises:
        DarkposeError: as `measure_clip`.
    """
    times, predicted, annotated = _checked(times, predicted, annotated)
    span = min(most, (times[-1] - times[0]) / 4)
    # The same frames count for every d: those with an annotation both `span` earlier and `span` later.
    counted = (times >= times[0] + span) & (times <= times[-1] - span) & ~np.isnan(predicted[:, 0, 0])
    if not counted.any() or (annotated == annotated[0]).all():
        return float("nan")
    when, where = times[counted], predicted[counted]

    def best(center: float, step: float, steps: Iterable[int]) -> float:
        delays = [float(np.clip(center + step * i, -span, span)) for i in steps]
        return min(delays, key=lambda delay: ((where - _at(when - delay, times, annotated)) ** 2).sum())

    step = float(np.median(np.diff(times)))
    whole = int(span / step) + 1
    delay = best(0.0, step, sorted(range(-whole, whole + 1), key=abs))
    while step > _PRECISION:
        step /= 4
        delay = best(delay, step, (0, -1, 1, -2, 2, -3, 3, -4, 4))
    return delay


def _at(when: Floats, times: Floats, annotated: Floats) -> Floats:
    """Landmarks (N, K, 2) at the times (N,), interpolated."""
    after = np.clip(np.searchsorted(times, when, side="right"), 1, len(times) - 1)
    before = after - 1
    share = np.clip((when - times[before]) / (times[after] - times[before]), 0, 1)[:, None, None]
    return np.asarray((1 - share) * annotated[before] + share * annotated[after])


def _checked(times: ArrayLike | None, predicted: ArrayLike, annotated: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Times, predictions and annotations as float64 arrays that fit each other; no times: numbers of frames."""
    predicted, annotated = np.asarray(predicted, np.float64), np.asarray(annotated, np.float64)
    if predicted.shape != annotated.shape or annotated.ndim != 3 or annotated.shape[2] != 2 or not annotated.size:
        raise DarkposeError(f"landmarks must both be (T, K, 2), got {predicted.shape} and {annotated.shape}")
    times = np.arange(len(annotated), dtype=np.float64) if times is None else np.asarray(times, np.float64)
    if times.shape != annotated.shape[:1] or not (np.diff(times) > 0).all():
        raise DarkposeError(f"expected {len(annotated)} rising times, one per frame, got {times.shape}")
    if not np.isfinite(annotated).all():
        frame = int(np.flatnonzero(~np.isfinite(annotated).all(axis=(1, 2)))[0])
        raise DarkposeError(f"the annotation of frame {frame} is not finite")
    missing = np.isnan(predicted)
    broken = np.isinf(predicted).any(axis=(1, 2)) | (missing.any(axis=(1, 2)) & ~missing.all(axis=(1, 2)))
    if broken.any():
        frame = int(np.flatnonzero(broken)[0])
        raise DarkposeError(f"frame {frame}: expected finite landmarks, or NaN for all of them if there is no face")
    return times, predicted, annotated


def _known(statistic: Callable[..., Any], values: Sequence[float]) -> float:
    """A statistic of the values that are not NaN; NaN if there is none."""
    known = [value for value in values if not np.isnan(value)]
    return float(statistic(known)) if known else float("nan")
