"""Drawn clips: motion in seconds, landmarks where the picture has them, persons in front of others, and detection."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from darkpose.datasets.drawn_clip import (
    BLINK,
    ClipFace,
    Scene,
    blinking,
    crossing,
    cutting,
    frame_times,
    openness,
    steady,
    still,
    turning,
)
from darkpose.errors import DarkposeError
from darkpose.predict.predictor import Predictor
from darkpose.schema import WFLW_98

LEFT_PUPIL, UPPER_LID, LOWER_LID = (
    WFLW_98.index(name) for name in ("left_pupil", "left_eye_upper_middle", "left_eye_lower_middle")
)


def persons(scene: Scene, time: float) -> dict[int, ClipFace]:
    return {face.person: face for face in scene.faces(time)}


def test_times_are_those_of_the_frame_rate() -> None:
    np.testing.assert_array_equal(frame_times(5, 1), [0, 0.2, 0.4, 0.6, 0.8])
    assert len(frame_times(60, 0.001)) == 1
    for rate, seconds in ((0, 1), (30, -1)):
        with pytest.raises(DarkposeError, match="positive rate and length"):
            frame_times(rate, seconds)


def test_a_scene_shows_the_same_motion_at_any_frame_rate() -> None:
    scene = crossing(3)
    for slow, fast in zip(frame_times(5, 2)[3:5], frame_times(60, 2)[[36, 48]], strict=True):
        for one, other in zip(scene.faces(slow), scene.faces(fast), strict=True):
            np.testing.assert_allclose(one.keypoints, other.keypoints, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(scene.image(0.6), crossing(3).image(0.6))


def test_at_a_constant_velocity_every_landmark_moves_alike() -> None:
    scene = steady(1, speed=90)
    first, second = (scene.faces(time)[0].keypoints for time in (0.5, 0.5 + 1 / 30))
    np.testing.assert_allclose(second - first, np.tile([3.0, 0], (98, 1)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("time", [0.0, 6.5, 11.5])
def test_pupils_and_lips_are_where_the_picture_shows_them(time: float) -> None:
    scene = replace(crossing(1), noise=0)
    image = scene.image(time).astype(int)
    faces = [face for face in scene.faces(time) if face.visible.all()]
    assert len(faces) >= 2
    for face in faces:
        x, y = np.round(face.keypoints[LEFT_PUPIL]).astype(int)
        assert image[y, x].max() < 110, "the pupil is dark"
        x, y = np.round(face.keypoints[[78, 79, 80, 89, 90, 91]].mean(axis=0)).astype(int)
        red, green, blue = image[y, x]
        assert red > 1.25 * max(green, blue), "lips are red"


def test_the_person_in_front_hides_the_one_behind() -> None:
    scene = replace(crossing(1), noise=0)
    faces = persons(scene, 2.5)
    assert faces[2].visible.all()
    assert faces[1].visible.sum() < 20
    alone = replace(scene, paths=[lambda _: None, lambda _: None, scene.paths[2]]).image(2.5)
    x, y = np.round(faces[2].keypoints[:, :2].T[:, 60:76]).astype(int)
    np.testing.assert_array_equal(scene.image(2.5)[y, x], alone[y, x])


def test_a_person_leaves_and_returns_under_the_same_number() -> None:
    scene = crossing(1)
    assert [sorted(persons(scene, time)) for time in (0.5, 6.0, 11.0)] == [[0, 1, 2], [0, 2], [0, 1, 2]]
    leaving = persons(scene, 4.45)[1]
    assert 0 < leaving.visible.sum() < 98
    np.testing.assert_array_equal(leaving.visible, leaving.keypoints[:, 0] > -0.5)


def test_a_blink_takes_its_time_and_shuts_the_eyes() -> None:
    assert [openness(time, [1.0]) for time in (0.9, 1.0, 1.0 + BLINK + 1e-9)] == [1, 1, 1]
    assert openness(1.0 + BLINK / 2, [1.0]) < 0.1
    scene = blinking(2, [1.0])

    def opening(time: float) -> float:
        lids = scene.faces(time)[0].keypoints[[UPPER_LID, LOWER_LID], 1]
        return float(lids[1] - lids[0])

    assert opening(1.06) < 0.1 * opening(0.5)
    assert opening(1.03) == pytest.approx(opening(1.09)) == pytest.approx(0.53 * opening(0.5))


def test_after_a_cut_there_are_other_persons_and_another_background() -> None:
    scene = replace(cutting(1, cut=2.0), noise=0)
    assert [sorted(persons(scene, time)) for time in (1.99, 2.0)] == [[0, 1], [2, 3]]
    corner = (slice(0, 40), slice(0, 40))
    assert (scene.image(0.0)[corner] == scene.image(1.99)[corner]).all()
    assert np.abs(scene.image(1.99)[corner].astype(int) - scene.image(2.0)[corner]).mean() > 5


def test_a_still_face_has_noise_only() -> None:
    scene = still(1, noise=4.0, quality=None)
    np.testing.assert_array_equal(scene.faces(0.0)[0].keypoints, scene.faces(1.0)[0].keypoints)
    first, second, again = (scene.image(time).astype(float) for time in (0.0, 0.1, 0.1))
    assert (second == again).all()
    assert (first - second).std() == pytest.approx(4 * np.sqrt(2), rel=0.05)
    assert (still(1, noise=0, quality=30).image(0.0) != still(1, noise=0, quality=None).image(0.0)).any()


def test_the_background_moves_at_its_velocity() -> None:
    scene = Scene([], seed=4, size=(320, 240), pan=60, noise=0)
    assert scene.faces(0.0) == ()
    np.testing.assert_array_equal(scene.image(0.0)[:, 30:], scene.image(0.5)[:, :-30])
    np.testing.assert_array_equal(scene.image(0.0), scene.image(640 / 60))


@settings(max_examples=20)
@given(time=st.floats(0, 30), seed=st.integers(0, 1000))
def test_landmarks_are_finite_and_visible_ones_inside_the_picture(time: float, seed: int) -> None:
    for scene in (crossing(seed), turning(seed), cutting(seed), steady(seed)):
        for face in scene.faces(time):
            assert np.isfinite(face.keypoints).all()
            seen = face.keypoints[face.visible]
            assert ((seen > -0.5) & (seen < np.array(scene.size) - 0.5)).all()


def test_the_detector_and_the_network_find_all_faces() -> None:
    scene = crossing(1)
    found = np.array([face.keypoints for face in Predictor(schema="wflw-98", threads=1)(scene.image(1.0))])
    assert len(found) == len(scene.faces(1.0)) == 3
    for face in scene.faces(1.0):
        errors = np.linalg.norm(found - face.keypoints, axis=2).mean(axis=1)
        assert errors.min() < 0.06 * np.linalg.norm(face.keypoints[60] - face.keypoints[72])
