"""Errors, jitter and lag of clips: values worked out by hand, the published formula as loops, invariances."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from darkpose.errors import DarkposeError
from darkpose.evaluation.clips import ClipErrors, jitter, lag, measure_clip, summarise
from darkpose.schema import AFLW_19, W300_68, WFLW_98

SEEDS = st.integers(0, 2**32 - 1)
FRAMES, POINTS = 12, 5


def a_clip(seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Predicted and annotated landmarks (T, K, 2)."""
    rng = np.random.default_rng(seed)
    annotated = rng.uniform(0, 200, (FRAMES, POINTS, 2))
    return annotated + rng.normal(0, 3, annotated.shape), annotated


def moving(times: NDArray[np.float64], seed: int = 0) -> NDArray[np.float64]:
    """Landmarks (T, K, 2) that move to and fro and turn."""
    rng = np.random.default_rng(seed)
    shape, far = rng.uniform(-40, 40, (POINTS, 2)), rng.uniform(20, 60, 2)
    angle = 0.3 * np.sin(3 * times)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    way = np.stack([far[0] * np.sin(2.1 * times), far[1] * np.sin(2.9 * times + 1)], axis=1)
    return np.asarray(shape @ turn.transpose(0, 2, 1) + way[:, None] + 200)


def reference_jitter(predicted: Any, annotated: Any) -> float:
    by_frame = []
    for t in range(len(predicted) - 1):
        xs, ys = [[point[axis] for point in annotated[t + 1]] for axis in (0, 1)]
        scale = math.sqrt((max(xs) - min(xs)) * (max(ys) - min(ys)) / 256**2)
        total = 0.0
        for k in range(len(predicted[t])):
            (ax, ay), (bx, by) = (annotated[t + i][k] - predicted[t + i][k] for i in (0, 1))
            total += (100 * math.hypot(ax - bx, ay - by) / scale) ** 2
        by_frame.append(math.sqrt(total / len(predicted[t])))
    return math.sqrt(sum(value**2 for value in by_frame) / len(by_frame))


@given(seed=SEEDS)
def test_jitter_is_the_published_formula(seed: int) -> None:
    clip = a_clip(seed)
    assert jitter(*clip) == pytest.approx(reference_jitter(*clip), rel=1e-12)


def test_jitter_worked_out_by_hand() -> None:
    # A square of 128 px, so s = 1/2. From frame 0 to 1 one of four points jumps by 3, 4 px: 100 * 5 / 0.5 = 1000, and
    # the root mean square over the points is 500. From 1 to 2 nothing changes: sqrt((500^2 + 0) / 2).
    annotated = np.tile([[0.0, 0], [128, 0], [0, 128], [128, 128]], (3, 1, 1))
    predicted = annotated.copy()
    predicted[1:, 2] += [3, 4]
    assert jitter(predicted, annotated) == pytest.approx(500 / math.sqrt(2), rel=1e-12)


@given(seed=SEEDS, x=st.floats(-50, 50), y=st.floats(-50, 50))
def test_a_constant_error_has_no_jitter(seed: int, x: float, y: float) -> None:
    _, annotated = a_clip(seed)
    each = np.random.default_rng(seed).normal(0, 9, (POINTS, 2))
    assert jitter(annotated + np.array([x, y]) + each, annotated) == pytest.approx(0, abs=1e-9)


@given(seed=SEEDS, scale=st.floats(0.01, 100), angle=st.sampled_from([0, 90, 180, 270]))
def test_jitter_does_not_change_with_size_place_and_quarter_turns(seed: int, scale: float, angle: int) -> None:
    predicted, annotated = a_clip(seed)
    cos, sin = round(math.cos(math.radians(angle))), round(math.sin(math.radians(angle)))
    turn = scale * np.array([[cos, -sin], [sin, cos]])
    moved = [points @ turn.T + [30, -400] for points in (predicted, annotated)]
    assert jitter(*moved) == pytest.approx(jitter(predicted, annotated), rel=1e-6)


def test_transitions_with_a_missed_frame_have_no_jitter() -> None:
    predicted, annotated = a_clip(0)
    annotated[:] = annotated[0]
    predicted[:] = annotated + 1
    predicted[5:] += 3  # a jump behind the missed frame
    predicted[5] = np.nan
    assert jitter(predicted, annotated) == pytest.approx(0, abs=1e-9)
    assert math.isnan(jitter(np.full_like(annotated, np.nan), annotated))
    assert math.isnan(jitter(predicted[:1], annotated[:1]))


@pytest.mark.parametrize("late", [-3, 0, 1, 4, 7])
@pytest.mark.parametrize("rate", [5, 30, 60])
@settings(max_examples=5)
@given(seed=SEEDS)
def test_predictions_late_by_whole_frames_lag_by_them(late: int, rate: int, seed: int) -> None:
    late = int(np.clip(late, -rate // 2 + 1, rate // 2))
    times = np.arange(5 * rate) / rate
    annotated = moving(times, seed)
    predicted = np.roll(annotated, late, axis=0)
    predicted[: max(late, 0)] = np.nan
    predicted[len(times) + min(late, 0) :] = np.nan
    assert lag(times, predicted, annotated) == pytest.approx(late / rate, abs=2e-5)


def test_the_lag_at_a_constant_velocity_is_the_offset_over_the_velocity() -> None:
    times = np.arange(60) / 30
    annotated = np.tile([[0.0, 0], [50, 0], [0, 50]], (60, 1, 1)) + (times * 120)[:, None, None] * [1, 0]
    assert lag(times, annotated - [9.0, 0], annotated) == pytest.approx(9 / 120, abs=2e-5)


@settings(max_examples=30)
@given(seed=SEEDS, late=st.floats(-0.2, 0.3))
def test_the_lag_is_found_at_uneven_times_and_with_noise_that_averages_out(seed: int, late: float) -> None:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 6, 300))
    predicted = moving(times - late) + rng.normal(0, 0.2, (300, POINTS, 2))
    assert lag(times, predicted, moving(times)) == pytest.approx(late, abs=0.01)


@settings(max_examples=30)
@given(seed=SEEDS, scale=st.floats(0.01, 100))
def test_the_lag_does_not_change_with_the_size(seed: int, scale: float) -> None:
    times = np.arange(90) / 30
    clip = moving(times - 0.05, seed), moving(times, seed)
    larger = lag(times, scale * clip[0], scale * clip[1])
    assert larger == pytest.approx(lag(times, *clip), abs=5e-5)


def test_a_clip_without_motion_has_no_lag() -> None:
    still = np.tile(moving(np.zeros(1)), (30, 1, 1))
    assert math.isnan(lag(np.arange(30) / 30, still, still))
    assert math.isnan(lag([0.0], still[:1], still[:1]))
    annotated = moving(np.arange(30) / 30)
    assert math.isnan(lag(np.arange(30) / 30, np.full_like(annotated, np.nan), annotated))


def corners(schema: Any, distance: float) -> NDArray[np.float64]:
    """Two frames of a face whose outer eye corners are so far apart."""
    face = np.random.default_rng(1).uniform(0, 100, (len(schema), 2))
    face[schema.nme_pair[0]], face[schema.nme_pair[1]] = (10, 20), (10 + distance, 20)
    return np.stack([face, face + 1])


@pytest.mark.parametrize("schema", [W300_68, WFLW_98], ids=lambda schema: schema.name)
def test_the_error_is_over_the_distance_of_the_outer_eye_corners(schema: Any) -> None:
    annotated = corners(schema, 50)
    predicted = annotated + np.array([3, 4])
    predicted[1] += [3, 4]
    clip = measure_clip("a", [0, 0.5], predicted, annotated, schema)
    np.testing.assert_allclose(clip.errors, [0.1, 0.2], rtol=1e-12)
    assert clip.nme == pytest.approx(0.15)
    assert clip.step == 0.5
    assert clip.jitter == pytest.approx(jitter(predicted, annotated))


def test_missed_frames_fail_but_have_no_error() -> None:
    annotated = corners(W300_68, 50)
    predicted = annotated + np.array([3, 4])
    predicted[1] = np.nan
    clip = measure_clip("a", [0, 1], predicted, annotated, W300_68)
    assert clip.errors.tolist() == [pytest.approx(0.1), math.inf]
    assert clip.nme == pytest.approx(0.1)
    summary = summarise([clip], threshold=0.2)
    assert (summary.frames, summary.missed, summary.failure_rate) == (2, 1, 0.5)
    assert summary.auc == pytest.approx((0.5 + 0) / 2)


def test_a_summary_is_a_mean_over_clips_of_means_over_frames_and_its_rates_are_over_all_frames() -> None:
    first = ClipErrors("a", np.array([0.02, 0.04, 0.06]), jitter=3.0, lag=0.1, step=0.1)
    second = ClipErrors("b", np.array([0.1]), jitter=5.0, lag=math.nan, step=0.1)
    third = ClipErrors("c", np.array([math.inf]), jitter=math.nan, lag=0.3, step=0.1)
    summary = summarise([first, second, third])
    assert (summary.clips, summary.frames, summary.missed) == (3, 5, 1)
    assert summary.nme == pytest.approx((0.04 + 0.1) / 2)
    assert (summary.jitter, summary.lag) == pytest.approx((4, 0.2))
    assert summary.failure_rate == pytest.approx(2 / 5)
    assert summary.auc == pytest.approx((0.75 + 0.5 + 0.25) / 5)
    assert first.lag_frames == pytest.approx(1)
    with pytest.raises(DarkposeError, match="got none"):
        summarise([])


CLIP = np.random.default_rng(0).uniform(0, 9, (3, 68, 2))
PART = CLIP.copy()
PART[1, 4] = np.nan


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(([0, 1, 2], CLIP, CLIP[:2], W300_68), r"\(3, 68, 2\) and \(2, 68, 2\)", id="frames"),
        pytest.param(([0, 1, 2], CLIP[0], CLIP[0], W300_68), r"must both be \(T, K, 2\)", id="axes"),
        pytest.param(([0, 1], CLIP, CLIP, W300_68), "3 rising times", id="a time missing"),
        pytest.param(([0, 2, 1], CLIP, CLIP, W300_68), "3 rising times", id="times fall"),
        pytest.param(([0, 1, 2], PART, CLIP, W300_68), "frame 1: expected finite", id="a part of a face"),
        pytest.param(([0, 1, 2], CLIP + np.inf, CLIP, W300_68), "frame 0: expected finite", id="infinite"),
        pytest.param(([0, 1, 2], CLIP, PART, W300_68), "annotation of frame 1", id="not annotated"),
        pytest.param(([0, 1, 2], CLIP, CLIP, WFLW_98), "of 68 landmarks, got wflw-98", id="another schema"),
        pytest.param(([0, 1, 2], CLIP[:, :19], CLIP[:, :19], AFLW_19), "outer eye corners", id="no eye corners"),
        pytest.param(([0, 1, 2], CLIP, CLIP * [1, 0], W300_68), "on one line", id="flat"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_the_name_of_the_clip(arguments: Any, message: str) -> None:
    with pytest.raises(DarkposeError, match=f"clip 7: .*{message}"):
        measure_clip("clip 7", *arguments)
