"""Plans of drawn faces: pose, expression and sides."""

import numpy as np
import pytest

from darkpose.datasets.face_plan import ATTRIBUTES, LARGE_YAW, SIZE, PlannedFace, Pose, plan_face, pose_face
from darkpose.datasets.wflw import SUBSETS
from darkpose.errors import DarkposeError
from darkpose.schema import WFLW_98


def test_the_whole_face_is_inside_the_image() -> None:
    for index in range(300):
        keypoints = plan_face(2, index, [ATTRIBUTES[index % 6]]).keypoints
        assert keypoints.shape == (len(WFLW_98), 2)
        assert keypoints.min() >= 5
        assert keypoints.max() <= SIZE - 6
        assert 110 <= np.ptp(keypoints, axis=0).max() <= 170


def test_left_is_the_images_left() -> None:
    left = [i for i, name in enumerate(WFLW_98.names) if name.startswith("left_")]
    for index in range(100):
        x = plan_face(5, index, ["pose"] if index % 2 else []).keypoints[:, 0]
        assert (x[left] < x[WFLW_98.flip_index[left]]).all()


def test_the_attributes_are_those_of_wflw_and_others_are_refused() -> None:
    assert ATTRIBUTES == SUBSETS
    with pytest.raises(DarkposeError, match=r"expected attributes among pose, .*blur, got frown, pose"):
        plan_face(0, 0, ["pose", "frown"])


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed: int, index: int) -> None:
    with pytest.raises(DarkposeError, match=f"must not be negative, got {seed} and {index}"):
        plan_face(seed, index)


def opening(face: PlannedFace) -> float:
    """Between the inner lips, px."""
    return float(np.linalg.norm(face.keypoints[90] - face.keypoints[94]))


def test_a_large_pose_turns_the_head_to_either_side() -> None:
    yaws = np.array([plan_face(0, index, ["pose"]).yaw for index in range(200)])
    assert (np.abs(yaws) >= LARGE_YAW[0]).all()
    assert (np.abs(yaws) <= LARGE_YAW[1]).all()
    assert 60 < (yaws > 0).sum() < 140
    assert max(abs(plan_face(0, index).yaw) for index in range(200)) <= 20


def test_a_head_turned_to_the_right_shows_its_left_eye_wider_and_its_nose_to_the_right() -> None:
    for index in range(20):
        plan = plan_face(0, index, ["pose"])
        wide, narrow = (np.linalg.norm(plan.keypoints[i] - plan.keypoints[i + 4]) for i in (60, 68))
        assert (wide > narrow) == (plan.yaw > 0)
        upright = plan.keypoints[54] - (plan.keypoints[0] + plan.keypoints[32]) / 2
        assert (upright[0] > 0) == (plan.yaw > 0)


def test_an_expression_opens_the_mouth_or_raises_the_brows() -> None:
    opened, raised = [], []
    for index in range(60):
        plain, changed = plan_face(7, index), plan_face(7, index, ["expression"])
        gaps = [np.linalg.norm(p.keypoints[35] - p.keypoints[62]) / eye_distance(p) for p in (plain, changed)]
        opened.append(opening(changed) > opening(plain) + 8)
        raised.append(gaps[1] > gaps[0] + 0.08)
    assert (np.array(opened) | np.array(raised)).all()
    assert 25 < sum(opened) < 55
    assert 25 < sum(raised) < 55


def eye_distance(face: PlannedFace) -> float:
    return float(np.linalg.norm(face.keypoints[60] - face.keypoints[72]))


def test_a_posed_head_is_placed_scaled_and_turned() -> None:
    straight = pose_face(1, 2, Pose(0, 0, 50)).keypoints
    moved = pose_face(1, 2, Pose(300, 200, 100)).keypoints
    np.testing.assert_allclose(moved, 2 * straight + [300, 200], rtol=0, atol=1e-9)
    rolled = pose_face(1, 2, Pose(0, 0, 50, roll=90)).keypoints
    np.testing.assert_allclose(rolled, straight @ [[0, 1], [-1, 0]], rtol=0, atol=1e-9)  # clockwise on the screen
    nose = WFLW_98.index("nose_bridge_3")
    assert pose_face(1, 2, Pose(0, 0, 50, yaw=30)).keypoints[nose, 0] > straight[nose, 0] + 5
    assert pose_face(1, 2, Pose(0, 0, 50, pitch=20)).keypoints[nose, 1] > straight[nose, 1] + 5


def test_shut_eyes_change_the_eyes_alone() -> None:
    opened, shut = (pose_face(1, 2, Pose(0, 0, 50, openness=openness)) for openness in (1.0, 0.1))
    changed = [WFLW_98.names[i] for i in np.flatnonzero((opened.keypoints != shut.keypoints).any(axis=1))]
    assert changed
    assert all("eye" in name or "pupil" in name for name in changed)
    for disc, flat in zip(opened.irises, shut.irises, strict=True):
        np.testing.assert_allclose(np.ptp(flat, axis=0), [1, 0.1] * np.ptp(disc, axis=0), rtol=0.05)
