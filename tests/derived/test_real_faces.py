"""The mean face and poses on real faces, where they are."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.posed_faces import read_merlrav
from darkpose.datasets.sample import Sample
from darkpose.datasets.w300 import LFPW_TEST_FOLDERS, read_300w
from darkpose.derived.pose import Pose, assumed_camera, head_pose
from darkpose.image.pixels import read_image
from darkpose.schema import W300_68


def pose_of(face: Sample) -> tuple[Pose, float]:
    """The pose of annotated landmarks, and their residual as a share of the distance of the eyes."""
    height, width = read_image(face.image).shape[:2]
    points = np.where((face.visible > 0)[:, None], face.keypoints, np.nan)
    camera = assumed_camera(points, W300_68, (width, height))
    pose = head_pose(points, W300_68, camera)
    return pose, pose.residual * pose.translation[2] / camera.focal[0]


def test_the_mean_face_is_near_faces_that_it_was_not_fitted_to(shared_data: Path) -> None:
    faces = read_300w(shared_data / "300w", LFPW_TEST_FOLDERS)[::4]
    found = [pose_of(face) for face in faces]
    assert not [pose.problem for pose, _ in found if pose.problem]
    assert np.median([residual for _, residual in found]) < 0.055
    assert abs(np.median([pose.pitch for pose, _ in found])) < 4
    assert abs(np.median([pose.yaw for pose, _ in found])) < 4


@pytest.mark.parametrize(("kind", "low", "high"), [("frontal", 0, 15), ("half-profile", 20, 40), ("profile", 30, 80)])
def test_the_yaw_agrees_with_what_annotators_saw(shared_data: Path, kind: str, low: float, high: float) -> None:
    faces = [face for face in read_merlrav(shared_data / "merlrav", "train") if kind in face.subsets][:60]
    assert low < np.median([abs(pose_of(face)[0].yaw) for face in faces]) < high
