"""The pose of a head: exact without noise, within its error bars with noise, and never a silent number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.derived.mean_face import mean_face
from darkpose.derived.pose import NEAREST, Camera, Pose, assumed_camera, from_the_front, head_pose
from darkpose.derived.rotation import line_of_sight, rotation_angles, rotation_matrix
from darkpose.errors import DarkposeError
from darkpose.image.geometry import mirror_keypoints
from darkpose.schema import COFW_29, SCHEMAS, W300_68, KeypointSchema

CAMERA = Camera.of_image(640, 480)
NAMES = ["300w-68", "wflw-98", "aflw-19"]
YAW, PITCH, ROLL = st.floats(-80, 80), st.floats(-40, 40), st.floats(-170, 170)


def seen(schema: KeypointSchema, angles: tuple[float, ...], place: tuple[float, ...] = (1.4, -1.3, 9.0)) -> np.ndarray:
    """The landmarks of the mean face in a pose."""
    face = mean_face(schema.name)
    assert face is not None
    return CAMERA.project(face.points @ (line_of_sight(place) @ rotation_matrix(*angles)).T + place)


def angles_of(pose: Pose) -> list[float]:
    return [pose.yaw, pose.pitch, pose.roll]


@pytest.mark.parametrize("name", NAMES)
@given(yaw=YAW, pitch=PITCH, roll=ROLL)
def test_the_pose_of_the_projected_mean_face_is_found(name: str, yaw: float, pitch: float, roll: float) -> None:
    pose = head_pose(seen(SCHEMAS[name], (yaw, pitch, roll)), SCHEMAS[name], CAMERA)
    assert not pose.problem
    assert np.allclose(rotation_matrix(*angles_of(pose)), rotation_matrix(yaw, pitch, roll), atol=1e-4)
    assert np.allclose(pose.translation, [1.4, -1.3, 9.0], atol=1e-3)
    assert pose.residual < 1e-3
    assert np.isnan(pose.errors).all()  # without covariances


@pytest.mark.parametrize("name", ["300w-68", "aflw-19"])
def test_errors_drawn_from_the_covariances_are_within_the_error_bars(name: str) -> None:
    rng, schema, scores = np.random.default_rng(5), SCHEMAS[name], []
    for _ in range(500):
        angles = rng.uniform([-60, -30, -40], [60, 30, 40])
        root = rng.normal(size=(len(schema), 2, 2))
        covariance = root @ root.swapaxes(1, 2) + 0.3 * np.eye(2)
        noise = np.einsum("kij,kj->ki", np.linalg.cholesky(covariance), rng.normal(size=(len(schema), 2)))
        pose = head_pose(seen(schema, tuple(angles)) + noise, schema, CAMERA, covariance)
        scores.append((np.array(angles_of(pose)) - angles) / pose.errors)
    within = np.abs(scores)
    assert (within < 1).mean(axis=0) == pytest.approx([0.683] * 3, abs=0.05)
    assert (within < 1.96).mean(axis=0) == pytest.approx([0.95] * 3, abs=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_a_mirror_negates_yaw_and_roll_exactly(name: str) -> None:
    rng, schema = np.random.default_rng(2), SCHEMAS[name]
    for _ in range(20):
        points = seen(schema, tuple(rng.uniform([-50, -30, -40], [50, 30, 40]))) + rng.normal(size=(len(schema), 2))
        pose = head_pose(points, schema, CAMERA)
        other = head_pose(mirror_keypoints(points, schema.flip_index, 640), schema, CAMERA)
        assert angles_of(other) == pytest.approx([-pose.yaw, pose.pitch, -pose.roll], abs=1e-6)


def test_the_rotation_is_on_the_axes_of_the_camera_and_the_angles_are_towards_it() -> None:
    place = (1.4, -1.3, 9.0)
    pose = head_pose(seen(W300_68, (20, -10, 5)), W300_68, CAMERA)
    assert np.allclose(pose.rotation, line_of_sight(place) @ rotation_matrix(20, -10, 5), atol=1e-5)
    looks_ahead = seen(
        W300_68, tuple(rotation_angles(line_of_sight(place).T)), place
    )  # along the camera's axis, beside it
    pose = head_pose(looks_ahead, W300_68, CAMERA)
    assert np.allclose(pose.rotation, np.eye(3), atol=1e-5)
    assert pose.yaw > 8  # seen from the camera it looks past it, to the right and up
    assert pose.pitch < -8


def test_cropping_an_image_and_another_focal_length_change_the_angles_little() -> None:
    points = seen(W300_68, (20, -10, 5))
    whole = angles_of(head_pose(points, W300_68, CAMERA))
    corner = points.min(axis=0) - 20
    size = (200, 200)
    cropped = points - corner
    assert angles_of(head_pose(cropped, W300_68, assumed_camera(cropped, W300_68, size))) == pytest.approx(whole, abs=1)
    for zoom in (1.5, 4):
        camera = Camera.of_image(640, 480, zoom)
        assert angles_of(head_pose(points, W300_68, camera)) == pytest.approx(whole, abs=2.5)


def test_outliers_and_lost_landmarks_do_not_turn_the_head() -> None:
    points = seen(W300_68, (20, -10, 5))
    points[[3, 30, 50]] += [40.0, -30.0]
    points[[7, 40]] = np.nan
    assert angles_of(head_pose(points, W300_68, CAMERA)) == pytest.approx([20, -10, 5], abs=1)


def test_an_uncertain_landmark_counts_less() -> None:
    points, covariance = seen(W300_68, (0, 0, 0)), np.tile(0.2 * np.eye(2), (68, 1, 1))
    points[30, 0] += 8  # the tip of the nose
    wrong = abs(head_pose(points, W300_68, CAMERA, covariance).yaw)
    covariance[30] *= 1000
    assert abs(head_pose(points, W300_68, CAMERA, covariance).yaw) < 0.2 * wrong


def test_a_pose_that_is_not_known_says_why_and_has_no_numbers() -> None:
    points = seen(W300_68, (0, 0, 0))
    few = np.where(np.arange(68)[:, None] < 5, points, np.nan)
    anywhere = np.random.default_rng(0).uniform(100, 300, (68, 2))
    problems = {
        "5 landmarks are known, a pose needs 6": head_pose(few, W300_68, CAMERA),
        "no mean face for the landmarks of cofw-29": head_pose(np.zeros((29, 2)), COFW_29, CAMERA),
        "from behind": head_pose(seen(W300_68, (170, 0, 0)), W300_68, CAMERA),
        "not those of a face": head_pose(anywhere, W300_68, CAMERA),
        "are not those of a face": head_pose(np.full((68, 2), 30.0), W300_68, CAMERA),
    }
    for text, pose in problems.items():
        assert text in pose.problem
        assert np.isnan([*angles_of(pose), pose.residual, *pose.translation, *pose.errors]).all()


def test_landmarks_of_another_number_and_cameras_without_a_focal_length_are_refused() -> None:
    with pytest.raises(DarkposeError, match=r"expected an array \(68, 2\)"):
        head_pose(np.zeros((5, 2)), W300_68, CAMERA)
    for focal in (0.0, -5.0, np.nan):
        with pytest.raises(DarkposeError, match="positive focal lengths"):
            Camera((focal, 600.0), (0.0, 0.0))


def test_without_a_camera_a_near_face_is_taken_to_be_further_away() -> None:
    far, near = seen(W300_68, (0, 0, 0), (0, 0, 15.0)), seen(W300_68, (0, 0, 0), (0, 0, 4.0))
    assert assumed_camera(far, W300_68, (640, 480)) == CAMERA
    camera = assumed_camera(near, W300_68, (640, 480))
    assert camera.focal[0] > CAMERA.focal[0]
    assert camera.center == CAMERA.center == (319.5, 239.5)
    assert head_pose(near, W300_68, camera).translation[2] == pytest.approx(NEAREST, rel=0.1)


@pytest.mark.parametrize("name", NAMES)
def test_landmarks_of_a_turned_head_are_brought_to_the_front(name: str) -> None:
    schema, face = SCHEMAS[name], mean_face(name)
    assert face is not None
    points = seen(schema, (35, -12, 20))
    pose = head_pose(points, schema, CAMERA)
    assert np.allclose(from_the_front(points, schema, CAMERA, pose), face.points[:, :2], atol=1e-4)
    assert np.isnan(from_the_front(points, schema, CAMERA, Pose(problem="not known"))).all()
