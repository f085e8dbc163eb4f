"""Rotations of a head and their angles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from darkpose.derived.rotation import line_of_sight, rotation_angles, rotation_matrix, small_rotation

ANGLES = st.tuples(st.floats(-179, 179), st.floats(-85, 85), st.floats(-179, 179))
NOSE, CHIN = np.array([0.0, 0, -1]), np.array([0.0, 1, 0])


@given(ANGLES)
def test_angles_are_the_inverse_of_the_matrix(angles: tuple[float, float, float]) -> None:
    matrix = rotation_matrix(*angles)
    assert np.allclose(matrix @ matrix.T, np.eye(3))
    assert np.isclose(np.linalg.det(matrix), 1)
    assert np.allclose(rotation_matrix(*rotation_angles(matrix)), matrix, atol=1e-9)


def test_each_angle_is_positive_towards_growing_image_coordinates() -> None:
    assert (rotation_matrix(30, 0, 0) @ NOSE)[0] > 0.4  # the nose goes to the right of the picture
    assert (rotation_matrix(0, 30, 0) @ NOSE)[1] > 0.4  # down
    assert (rotation_matrix(0, 0, 30) @ CHIN)[0] < -0.4  # clockwise: the chin goes to the left


@given(ANGLES, st.floats(-50, 50))
def test_turning_the_picture_changes_the_roll_alone(angles: tuple[float, float, float], turn: float) -> None:
    turned = rotation_angles(rotation_matrix(0, 0, turn) @ rotation_matrix(*angles)) - angles
    assert np.allclose((turned - [0, 0, turn] + 180) % 360, 180, atol=1e-6)


@given(ANGLES)
def test_a_mirror_negates_yaw_and_roll(angles: tuple[float, float, float]) -> None:
    mirror = np.diag([-1.0, 1, 1])
    yaw, pitch, roll = angles
    assert np.allclose(mirror @ rotation_matrix(yaw, pitch, roll) @ mirror, rotation_matrix(-yaw, pitch, -roll))


def test_a_small_rotation_is_the_exponential_of_its_cross_product() -> None:
    assert np.allclose(small_rotation([0, 0, 0]), np.eye(3))
    assert np.allclose(small_rotation([0, 0, np.radians(40)]), rotation_matrix(0, 0, 40))
    assert np.allclose(small_rotation([np.radians(40), 0, 0]), rotation_matrix(0, 40, 0))
    assert np.allclose(small_rotation([0, -np.radians(200), 0]), rotation_matrix(-160, 0, 0) @ np.eye(3))


def test_the_line_of_sight_turns_the_axis_without_a_roll() -> None:
    assert np.allclose(line_of_sight([0, 0, 5]), np.eye(3))
    place = np.array([2.0, -1.0, 5.0])
    turn = line_of_sight(place)
    assert np.allclose(turn @ [0, 0, 1], place / np.linalg.norm(place))
    assert np.allclose(line_of_sight([2, 0, 5]), rotation_matrix(-np.degrees(np.arctan2(2, 5)), 0, 0))
    assert turn[0, 1] == pytest.approx(turn[1, 0])  # the axis of the turn is across the camera's
