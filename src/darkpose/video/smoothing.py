"""The landmarks of one face over time, smoothed.

Each landmark moves with a constant velocity that white noise of acceleration changes (Bar-Shalom, Li, Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, section 6.2.2). A Kalman filter follows it (Kalman, A New
Approach to Linear Filtering and Prediction Problems, 1960); `smooth` goes back over the track, too, and has no lag
(Rauch, Tung, Striebel, Maximum Likelihood Estimates of Linear Dynamic Systems, 1965).

A still face needs little noise of acceleration, a blink much. So the noise follows what is seen: where landmarks are
farther from the prediction than their measurement explains, it becomes what makes this distance most likely, for the
whole face if the median landmark is far (a nod), and for single ones (a lid).

Both coordinates of a landmark share one variance, half the trace of its covariance, which is the same when the image is
turned; the whole covariance gains nothing. Positions are in image px, times in seconds, settings in sizes of the face.
"""

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats

LEAST, MOST = 0.0005, 0.05  # noise of a landmark in face sizes, whatever its covariance says
FASTEST = 10.0  # face sizes per second; standard deviation of the velocity that a track starts with


@dataclass(frozen=True)
class Smoothing:
    """How much is smoothed. The defaults are measured: `benchmarks/smoothing.py`, docs/experiments.md of 2026-12-01.

    Attributes:
        believed: noise between frames over the standard deviation of `Face.covariance`. That is the distance to an
            annotator, most of which stays the same from frame to frame.
        noise: standard deviation of a landmark without covariance, along x or y, in face sizes.
        wander: spectral density of the acceleration of a still face, in face sizes^2 / s^3. Less is stiller.
        gate: a landmark this many standard deviations from its prediction has moved.
        together: the whole face has moved if the median of the squared distances is this many times the expected one.
        gap: seconds without a measurement after which a track starts anew.

    Raises:
        DarkposeError: a value is not positive and finite.
    """

    believed: float = 0.2
    noise: float = 0.003
    wander: float = 0.0001
    gate: float = 3.3
    together: float = 1.7
    gap: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not (isinstance(value, int | float) and np.isfinite(value) and value > 0):
                raise DarkposeError(f"Smoothing: {field.name} must be a positive number, got {value!r}")


class _State(NamedTuple):
    """Mean and covariance of K landmarks: x and y have the same covariance and are independent."""

    position: Floats  # (K, 2)
    velocity: Floats  # (K, 2)
    pp: Floats  # (K,) variance of the position
    pv: Floats  # (K,) covariance of position and velocity
    vv: Floats  # (K,) variance of the velocity

    def after(self, seconds: float, density: Floats | float = 0.0) -> "_State":
        """The prediction, with white noise of acceleration of so much spectral density, (K,) px^2 / s^3."""
        return _State(
            self.position + seconds * self.velocity,
            self.velocity,
            self.pp + 2 * seconds * self.pv + seconds**2 * self.vv + density * seconds**3 / 3,
            self.pv + seconds * self.vv + density * seconds**2 / 2,
            self.vv + density * seconds,
        )

    def measured(self, innovation: Floats, variance: Floats) -> "_State":
        """The state after a measurement that is so far (K, 2) from the prediction."""
        total = self.pp + variance
        gain, gain_v = self.pp / total, self.pv / total
        return _State(
            self.position + gain[:, None] * innovation,
            self.velocity + gain_v[:, None] * innovation,
            self.pp * variance / total,
            self.pv * variance / total,
            self.vv - gain_v * self.pv,
        )


class _Measured(NamedTuple):
    """One frame of a track."""

    time: float
    keypoints: Floats  # (K, 2)
    variance: Floats  # (K,) px^2
    size: float  # px

    def start(self) -> _State:
        speed = np.full_like(self.variance, (FASTEST * self.size) ** 2)
        return _State(self.keypoints, np.zeros_like(self.keypoints), self.variance, np.zeros_like(speed), speed)


def smooth(
    times: ArrayLike,
    keypoints: ArrayLike,
    covariance: ArrayLike | None,
    size: ArrayLike,
    config: Smoothing | None = None,
) -> Floats:
    """Smooth a whole track, without lag.

    The noise of acceleration is the larger of those that a pass forwards and one backwards find, so that a track and
    its reverse give the same (but for the velocity that a track starts with, which is hardly felt).

    Args:
        times: (T,) seconds, increasing.
        keypoints: (T, K, 2) image px. A frame with a landmark that is not finite is missing.
        covariance: (T, K, 2, 2) px^2, as `Face.covariance`. Where it is None or NaN, `config.noise` holds.
        size: (T,) px, of the face: the root of the area of its landmark box.
        config: None: the defaults.

    Returns:
        (T, K, 2) float64 image px; NaN in missing frames. A frame alone remains as it is.

    Raises:
        DarkposeError: shapes do not match, times do not increase, or the size of a face is not positive.
    """
    config = config or Smoothing()
    frames = _frames(times, keypoints, covariance, size, config)
    result = np.full(np.shape(keypoints), np.nan)
    moments = np.asarray(times, np.float64)
    for run in _runs(frames, config.gap):
        states = _both_ways(run, config)
        at = np.isin(moments, [frame.time for frame in run])
        result[at] = np.stack([state.position for state in states])
    return result


class CausalSmoother:
    """Smooths one track as its frames come; a new track needs a new one."""

    def __init__(self, config: Smoothing | None = None) -> None:
        self._config = config or Smoothing()
        self._time, self._state = -np.inf, None  # type: float, _State | None

    def update(self, time: float, keypoints: ArrayLike, covariance: ArrayLike | None, size: float) -> Floats:
        """The landmarks of the next frame, smoothed. Frames without the face are left out.

        Args:
            time: seconds.
            keypoints: (K, 2) image px.
            covariance: (K, 2, 2) px^2 or None, as in `smooth`.
            size: of the face, px, as in `smooth`.

        Returns:
            (K, 2) float64 image px. The first frame, and the first after a gap, remain as they are; NaN for a frame
            that is missing.

        Raises:
            DarkposeError: as `smooth`.
        """
        points = np.asarray(keypoints, np.float64)
        several = None if covariance is None else np.asarray(covariance)[None]
        frames = _frames([time], points[None], several, [size], self._config)
        if not time > self._time:
            raise DarkposeError(f"times of frames must increase: expected more than {self._time} s, got {time}")
        if not frames:
            return np.full_like(points, np.nan)
        if self._state is None or time - self._time > self._config.gap:
            self._state = frames[0].start()
        else:
            self._state = _step(self._state, self._time, frames[0], self._config)[1]
        self._time = time
        return self._state.position.copy()


def _step(state: _State, before: float, frame: _Measured, config: Smoothing) -> tuple[_State, _State, Floats]:
    """Prediction, state after the measurement, and the noise of acceleration (K,) in px^2 / s^3."""
    seconds = frame.time - before
    density = _density(state, seconds, frame, config)
    predicted = state.after(seconds, density)
    return predicted, predicted.measured(frame.keypoints - predicted.position, frame.variance), density


def _density(state: _State, seconds: float, frame: _Measured, config: Smoothing) -> Floats:
    """The noise of acceleration (K,) that explains how far the landmarks are from where they were expected.

    Half the squared distance over its variance has an exponential distribution: mean 1, median log 2.
    """
    still = state.after(seconds)
    halves = ((frame.keypoints - still.position) ** 2).sum(axis=1) / 2
    known, per_density = still.pp + frame.variance, seconds**3 / 3
    density = np.full_like(known, config.wander * frame.size**2)
    expected = known + density * per_density
    if _median(halves / expected) > config.together * np.log(2):
        density = np.maximum(density, _median(halves / np.log(2) - known) / per_density)
        expected = known + density * per_density
    moved = halves > config.gate**2 / 2 * expected
    return np.where(moved, (halves - known) / per_density, density)


def _median(values: Floats) -> float:
    return float(np.partition(values, len(values) // 2)[len(values) // 2])  # a tenth of the time of np.median


def _both_ways(run: list[_Measured], config: Smoothing) -> list[_State]:
    """The states of a track, given all of it (Rauch, Tung, Striebel 1965)."""
    forwards = _densities(run, config)
    backwards = _densities([frame._replace(time=-frame.time) for frame in run[::-1]], config)[::-1]
    filtered, predicted = [run[0].start()], [run[0].start()]
    for a, b, density in zip(run, run[1:], map(np.maximum, forwards, backwards), strict=False):
        predicted.append(filtered[-1].after(b.time - a.time, density))
        filtered.append(predicted[-1].measured(b.keypoints - predicted[-1].position, b.variance))
    states = [filtered[-1]]
    for index in range(len(run) - 2, -1, -1):
        seconds = run[index + 1].time - run[index].time
        states.append(_given_next(filtered[index], predicted[index + 1], states[-1], seconds))
    return states[::-1]


def _densities(run: list[_Measured], config: Smoothing) -> list[Floats]:
    """The noise of acceleration between every two frames, found in the order of the frames."""
    state, densities = run[0].start(), []
    for before, frame in pairwise(run):
        _, state, density = _step(state, before.time, frame, config)
        densities.append(density)
    return densities


def _given_next(filtered: _State, predicted: _State, following: _State, seconds: float) -> _State:
    """The mean of a state, given that of the next frame; its variances are left as they are."""
    determinant = (predicted.pp * predicted.vv - predicted.pv**2)[:, None]
    position, velocity = following.position - predicted.position, following.velocity - predicted.velocity
    pp, pv, vv = predicted.pp[:, None], predicted.pv[:, None], predicted.vv[:, None]
    by_position = (vv * position - pv * velocity) / determinant
    by_velocity = (pp * velocity - pv * position) / determinant
    pp, pv, vv = filtered.pp[:, None], filtered.pv[:, None], filtered.vv[:, None]
    return filtered._replace(
        position=filtered.position + (pp + seconds * pv) * by_position + pv * by_velocity,
        velocity=filtered.velocity + (pv + seconds * vv) * by_position + vv * by_velocity,
    )


def _runs(frames: list[_Measured], gap: float) -> list[list[_Measured]]:
    """Frames in groups without a longer gap."""
    runs: list[list[_Measured]] = []
    for frame in frames:
        if not runs or frame.time - runs[-1][-1].time > gap:
            runs.append([])
        runs[-1].append(frame)
    return runs


def _frames(
    times: ArrayLike, keypoints: ArrayLike, covariance: ArrayLike | None, size: ArrayLike, config: Smoothing
) -> list[_Measured]:
    """The frames that are not missing, checked."""
    moments, points, sizes = (np.array(each, np.float64) for each in (times, keypoints, size))  # copies, to be kept
    if points.ndim != 3 or points.shape[2] != 2 or moments.shape != points.shape[:1] or sizes.shape != moments.shape:
        raise DarkposeError(
            "a track has times (T,), keypoints (T, K, 2) and sizes (T,): "
            f"got {moments.shape}, {points.shape} and {sizes.shape}"
        )
    if not np.isfinite(moments).all() or (np.diff(moments) <= 0).any():
        raise DarkposeError("times of frames must be finite seconds that increase")
    seen = np.flatnonzero(np.isfinite(points).all(axis=(1, 2)))
    if not (np.isfinite(sizes[seen]) & (sizes[seen] > 0)).all():
        raise DarkposeError(f"the size of a face must be a positive number of px, got {sizes[seen].min()}")
    variance = _variance(points.shape, covariance, sizes, config)
    return [_Measured(float(moments[i]), points[i], variance[i], float(sizes[i])) for i in seen]


def _variance(shape: tuple[int, ...], covariance: ArrayLike | None, sizes: Floats, config: Smoothing) -> Floats:
    """Variance (T, K) in px^2 of the noise between frames, along x or y."""
    if covariance is None:
        return np.repeat((config.noise * sizes[:, None]) ** 2, shape[1], axis=1)
    given = np.asarray(covariance, np.float64)
    if given.shape != (*shape, 2):
        raise DarkposeError(f"the covariance of keypoints {shape} must be {(*shape, 2)}, got {given.shape}")
    variance = config.believed**2 * (given[..., 0, 0] + given[..., 1, 1]) / 2
    variance = np.where(np.isnan(variance), (config.noise * sizes[:, None]) ** 2, variance)
    return np.clip(variance, (LEAST * sizes[:, None]) ** 2, (MOST * sizes[:, None]) ** 2)
