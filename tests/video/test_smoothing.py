"""Smoothing of one track: against an independent filter, by properties, and by its goals on a drawn face."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpose.errors import DarkposeError
from darkpose.image.geometry import Floats
from darkpose.video.smoothing import FASTEST, CausalSmoother, Smoothing, smooth

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STILL = Smoothing(gate=1e6, together=1e6)  # a fixed noise of acceleration


class Track:
    """A random track of K landmarks: a slow course with noise, sudden moves and uneven times."""

    def __init__(self, seed: int, frames: int = 12, landmarks: int = 5) -> None:
        rng = np.random.default_rng(seed)
        self.times = rng.uniform(-5, 5) + np.cumsum(rng.uniform(0.02, 0.1, frames))
        self.size = rng.uniform(20, 300) * np.ones(frames)
        course = np.cumsum(rng.normal(0, 0.004, (frames, landmarks, 2)), axis=0) + rng.uniform(0, 1, (landmarks, 2))
        course[frames // 2 :, 0] += 0.05
        self.keypoints = (course + rng.normal(0, 0.003, course.shape)) * self.size[:, None, None]
        factors = rng.normal(0, 0.015, (frames, landmarks, 2, 2)) * self.size[:, None, None, None]
        self.covariance = factors @ factors.swapaxes(-1, -2)


def causal(track: Track, config: Smoothing | None = None) -> Floats:
    smoother = CausalSmoother(config)
    rows = zip(track.times, track.keypoints, track.covariance, track.size, strict=True)
    return np.stack([smoother.update(*row) for row in rows])


def two_pass(track: Track, config: Smoothing | None = None) -> Floats:
    return smooth(track.times, track.keypoints, track.covariance, track.size, config)


WAYS = pytest.mark.parametrize("way", [causal, two_pass])
seeds = st.integers(0, 2**32 - 1)


def least_squares(track: Track, until: int, wander: float) -> Floats:
    """The most likely positions (until, 2) of landmark 0, by one large system of equations, without any recursion."""
    times, size = track.times[:until], track.size[0]
    trace = np.trace(track.covariance[:until, 0], axis1=1, axis2=2)
    deviation = np.clip(Smoothing().believed * np.sqrt(trace / 2), 0.0005 * size, 0.05 * size)
    rows, right = [], []
    for frame in range(until):
        row = np.zeros((1, 2 * until))
        row[0, 2 * frame] = 1 / deviation[frame]
        rows.append(row)
        right.append(track.keypoints[frame : frame + 1, 0] / deviation[frame])
    start = np.zeros((1, 2 * until))
    start[0, 1] = 1 / (FASTEST * size)
    rows.append(start)
    for frame in range(1, until):
        t = times[frame] - times[frame - 1]
        noise = wander * size**2 * np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        row = np.zeros((2, 2 * until))
        row[:, 2 * frame : 2 * frame + 2] = np.eye(2)
        row[:, 2 * frame - 2 : 2 * frame] = -np.array([[1, t], [0, 1]])
        rows.append(np.linalg.inv(np.linalg.cholesky(noise)) @ row)
    system = np.concatenate(rows)
    known = np.zeros((len(system), 2))
    known[:until] = np.concatenate(right)
    return np.asarray(np.linalg.lstsq(system, known, rcond=None)[0][::2])


@pytest.mark.parametrize("seed", range(5))
def test_with_a_fixed_noise_both_ways_give_the_most_likely_positions(seed: int) -> None:
    track = Track(seed)
    exact = least_squares(track, len(track.times), STILL.wander)
    np.testing.assert_allclose(two_pass(track, STILL)[:, 0], exact, atol=1e-6 * track.size[0])
    last = [least_squares(track, until, STILL.wander)[-1] for until in range(1, 13)]
    np.testing.assert_allclose(causal(track, STILL)[:, 0], last, atol=1e-6 * track.size[0])


@WAYS
@given(seed=seeds, dx=st.floats(-1e3, 1e3), scale=st.floats(0.1, 10), degrees=st.floats(-180, 180))
@settings(max_examples=30, deadline=None)
def test_a_moved_turned_and_enlarged_track_gives_the_moved_turned_and_enlarged_result(
    way: Any, seed: int, dx: float, scale: float, degrees: float
) -> None:
    track, other = Track(seed), Track(seed)
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn = scale * np.array([[c, -s], [s, c]])
    other.keypoints = track.keypoints @ turn.T + [dx, -2 * dx]
    other.covariance, other.size = turn @ track.covariance @ turn.T, scale * track.size
    np.testing.assert_allclose(way(other), way(track) @ turn.T + [dx, -2 * dx], atol=1e-6 * other.size[0])


@WAYS
@given(seed=seeds, later=st.floats(-1e4, 1e4))
@settings(max_examples=30, deadline=None)
def test_a_later_track_gives_the_same(way: Any, seed: int, later: float) -> None:
    track, other = Track(seed), Track(seed)
    other.times = track.times + later
    np.testing.assert_allclose(way(other), way(track), atol=1e-5 * track.size[0])


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_two_passes_over_a_reversed_track_give_the_reversed_result(seed: int) -> None:
    track, other = Track(seed), Track(seed)
    other.times, other.keypoints, other.covariance = -track.times[::-1], track.keypoints[::-1], track.covariance[::-1]
    np.testing.assert_allclose(two_pass(other)[::-1], two_pass(track), atol=1e-4 * track.size[0])


@WAYS
@given(seed=seeds)
def test_a_single_frame_remains_as_it_is(way: Any, seed: int) -> None:
    track = Track(seed, frames=1)
    np.testing.assert_array_equal(way(track), track.keypoints)


@WAYS
@given(seed=seeds, value=st.sampled_from([np.nan, np.inf, -np.inf, 1e300, 0.0, -1.0]), every=st.booleans())
def test_no_covariance_spoils_the_result(way: Any, seed: int, value: float, every: bool) -> None:
    track = Track(seed)
    track.covariance[slice(None) if every else 3, 1] = value
    assert np.isfinite(way(track)).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_landmark_of_unknown_covariance_is_not_weighed_as_exact(value: float) -> None:
    track = Track(0)
    track.keypoints = np.zeros_like(track.keypoints)
    track.keypoints[6, 1] = 0.005 * track.size[0]  # half of the noise that is taken where nothing is known, off
    track.covariance = np.broadcast_to(1e-4 * np.eye(2) * track.size[0] ** 2, track.covariance.shape).copy()
    track.covariance[6, 1] = value
    assert two_pass(track)[6, 1, 0] < 0.4 * track.keypoints[6, 1, 0]


def test_an_uncertain_landmark_is_smoothed_more() -> None:
    track = Track(1)
    certain, uncertain = two_pass(track), Track(1)
    uncertain.covariance = 25 * track.covariance
    assert np.abs(two_pass(uncertain) - track.keypoints).mean() > np.abs(certain - track.keypoints).mean()


def test_without_covariance_every_landmark_has_the_same_noise() -> None:
    track = Track(2)
    none = smooth(track.times, track.keypoints, None, track.size)
    variance = (Smoothing().noise / Smoothing().believed * track.size[0]) ** 2
    track.covariance = np.broadcast_to(variance * np.eye(2), track.covariance.shape)
    np.testing.assert_allclose(none, two_pass(track))


def test_missing_frames_stay_missing_unless_asked_and_are_not_felt() -> None:
    track = Track(3)
    track.keypoints[[0, 4, 5, 11], 2] = np.nan
    seen = np.isfinite(track.keypoints).all(axis=(1, 2))
    found = two_pass(track)
    np.testing.assert_array_equal(np.isfinite(found).all(axis=(1, 2)), seen)
    np.testing.assert_array_equal(np.isnan(found).all(axis=(1, 2)), ~seen)
    without = smooth(track.times[seen], track.keypoints[seen], track.covariance[seen], track.size[seen])
    np.testing.assert_array_equal(found[seen], without)
    every = causal(track)
    np.testing.assert_array_equal(np.isnan(every).all(axis=(1, 2)), ~seen)


@WAYS
def test_after_a_long_gap_a_track_starts_anew(way: Any) -> None:
    track, second = Track(5), Track(5)
    track.times[6:] += 10
    for name in ("times", "keypoints", "covariance", "size"):
        setattr(second, name, getattr(track, name)[6:])
    np.testing.assert_array_equal(way(track)[6:], way(second))


def test_what_is_returned_can_be_changed_without_changing_what_comes() -> None:
    one, other = CausalSmoother(), CausalSmoother()
    for frame in range(5):
        given = np.full((4, 2), float(frame))
        found = one.update(frame / 30, given, None, 100.0)
        np.testing.assert_array_equal(found, other.update(frame / 30, np.full((4, 2), float(frame)), None, 100.0))
        given[:], found[:] = -1, -1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"times": [0.0, 0.0, 0.1]}, "increase"),
        ({"times": [0.0, np.nan, 0.1]}, "finite"),
        ({"times": [0.0, 0.1]}, "sizes"),
        ({"keypoints": np.zeros((3, 4, 3))}, "keypoints"),
        ({"size": [1.0, 0.0, 1.0]}, "positive"),
        ({"size": [1.0, np.nan, 1.0]}, "positive"),
        ({"covariance": np.zeros((3, 4, 2))}, "covariance"),
    ],
)
def test_a_track_that_cannot_be_used_is_told(change: dict[str, Any], word: str) -> None:
    track = {"times": [0.0, 0.1, 0.2], "keypoints": np.zeros((3, 4, 2)), "covariance": None, "size": [9.0, 9.0, 9.0]}
    with pytest.raises(DarkposeError, match=word):
        smooth(**{**track, **change})


def test_a_frame_that_is_not_later_is_told() -> None:
    smoother = CausalSmoother()
    smoother.update(1.0, np.zeros((4, 2)), None, 50.0)
    with pytest.raises(DarkposeError, match="increase"):
        smoother.update(1.0, np.zeros((4, 2)), None, 50.0)


@pytest.mark.parametrize("bad", [{"noise": 0.0}, {"gate": -1}, {"gap": float("nan")}, {"wander": "much"}])
def test_settings_are_positive_numbers(bad: dict[str, Any]) -> None:
    with pytest.raises(DarkposeError, match=next(iter(bad))):
        Smoothing(**bad)


@pytest.fixture(scope="module")
def goals() -> Any:
    """{smoother: {frames per second: the numbers of `benchmarks/smoothing.py`}}."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        benchmark = import_module("smoothing")
    finally:
        sys.path.remove(str(BENCHMARKS))
        sys.modules.pop("smoothing", None)
    ways = ("causal", "two-pass")
    return {way: {rate: benchmark.measure(benchmark.SMOOTHERS[way], rate) for rate in (15, 30, 60)} for way in ways}


RATES = pytest.mark.parametrize("rate", [15, 30, 60])
LIMITS = pytest.mark.parametrize(
    ("way", "jitter", "frames", "depth"), [("causal", 1 / 3, 1.0, 0.75), ("two-pass", 1 / 5, 0.1, 0.9)]
)


@RATES
@LIMITS
def test_a_still_face_is_still(goals: Any, way: str, jitter: float, frames: float, depth: float, rate: int) -> None:
    assert goals[way][rate]["jitter"] < jitter


@RATES
@LIMITS
def test_a_face_of_constant_velocity_has_no_lag(
    goals: Any, way: str, jitter: float, frames: float, depth: float, rate: int
) -> None:
    assert abs(goals[way][rate]["lag"]) * rate < frames


@RATES
@LIMITS
def test_a_blink_keeps_its_depth_at_every_rate(
    goals: Any, way: str, jitter: float, frames: float, depth: float, rate: int
) -> None:
    assert goals[way][rate]["blink"] > depth
    assert abs(goals[way][rate]["blink"] / goals[way][30]["blink"] - 1) < 0.1


@RATES
@pytest.mark.parametrize("way", ["causal", "two-pass"])
def test_a_moving_face_is_not_farther_from_the_truth(goals: Any, way: str, rate: int) -> None:
    motions = ("nod", "shake", "walk", "speech", "turn")
    assert {motion: goals[way][rate][motion] for motion in motions if goals[way][rate][motion] > 1.01} == {}
