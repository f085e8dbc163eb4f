"""What is derived from a face, as numbers by name: columns of tables, and values of JSON."""

from typing import Any

import numpy as np

from darkpose.derived.five_points import FIVE, five_points
from darkpose.derived.openness import Openness, openness
from darkpose.derived.pose import Pose, assumed_camera
from darkpose.errors import DarkposeError
from darkpose.files.json_text import finite_or_none
from darkpose.predict.face import Face

# Of the pose: degrees, standard errors in degrees, place in units of the face, px.
POSE = ("yaw", "pitch", "roll", "yaw_error", "pitch_error", "roll_error", "head_x", "head_y", "head_z", "pose_residual")
# Shares of the distance of the outer corners of the eyes; of the eyes: of their width.
OPENNESS = (
    *("left_eye_openness", "right_eye_openness", "mouth_openness", "mouth_width"),
    *("left_brow_height", "right_brow_height"),
)
POINTS = tuple(f"{name}_{axis}" for name in FIVE for axis in "xy")  # image px
NUMBERS = (*POSE, *OPENNESS, *POINTS)
PROBLEM = "derived_problem"  # why some numbers are not known, as a sentence; else empty
DIGITS = {**dict.fromkeys(POSE, 3), **dict.fromkeys(OPENNESS, 4), **dict.fromkeys(POINTS, 3)}


def derived_values(face: Face, size: tuple[int, int]) -> dict[str, Any]:
    """Values for `NUMBERS`, None where they are not known, and `PROBLEM`.

    Args:
        face: in an image; its covariances, if it has any, give the standard errors.
        size: (width, height) of the image, px: for the assumed camera.
    """
    camera = assumed_camera(face.keypoints, face.schema, size)
    pose = face.pose(camera)
    open_ = openness(face.keypoints, face.schema, camera, pose)
    values = [*_pose_numbers(pose), *_openness_numbers(open_), *_points(face)]
    numbers = {
        name: finite_or_none(round(float(value), DIGITS[name])) for name, value in zip(NUMBERS, values, strict=True)
    }
    return {**numbers, PROBLEM: open_.problem}


def pose_in(face: Face, size: tuple[int, int]) -> Pose:
    """The pose of a face in an image (width, height), by the assumed camera."""
    return face.pose(assumed_camera(face.keypoints, face.schema, size))


def _pose_numbers(pose: Pose) -> list[float]:
    return [pose.yaw, pose.pitch, pose.roll, *pose.errors, *pose.translation, pose.residual]


def _openness_numbers(found: Openness) -> list[float]:
    eyes = [found.left_eye, found.right_eye]
    return [*eyes, found.mouth, found.mouth_width, found.left_brow, found.right_brow]


def _points(face: Face) -> list[float]:
    try:
        return list(five_points(face.keypoints, face.schema).ravel())
    except DarkposeError:  # landmarks of something else
        return [np.nan] * len(POINTS)
