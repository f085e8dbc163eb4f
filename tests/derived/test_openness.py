"""Openness of eyes and mouth, and the height of the brows."""

import numpy as np
import pytest

from darkpose.datasets.face_plan import Pose as DrawnPose
from darkpose.datasets.face_plan import pose_face
from darkpose.derived.mean_face import mean_face
from darkpose.derived.openness import Openness, openness
from darkpose.derived.pose import Camera, Pose, head_pose
from darkpose.derived.rotation import rotation_matrix
from darkpose.image.geometry import mirror_keypoints
from darkpose.schema import SCHEMAS, W300_68, WFLW_98, KeypointSchema

CAMERA = Camera.of_image(640, 480)


def of(points: np.ndarray, schema: KeypointSchema) -> Openness:
    return openness(points, schema, CAMERA, head_pose(points, schema, CAMERA))


def seen(solid: np.ndarray, yaw: float, pitch: float = 0.0) -> np.ndarray:
    return CAMERA.project(solid @ rotation_matrix(yaw, pitch, 10).T + [0, 0, 9])


def mean(name: str) -> np.ndarray:
    face = mean_face(name)
    assert face is not None
    return face.points.copy()


@pytest.mark.parametrize("yaw", [-40, 0, 25])
def test_drawn_eyes_that_open_have_a_growing_openness(yaw: float) -> None:
    found = []
    for how in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        plan = pose_face(3, 1, DrawnPose(300, 200, 90, yaw=yaw, pitch=5, roll=-8, openness=how))
        found.append(of(plan.keypoints, WFLW_98))
    for eye in ([each.left_eye for each in found], [each.right_eye for each in found]):
        assert np.all(np.diff(eye) > 0.02)


@pytest.mark.parametrize("name", ["300w-68", "wflw-98", "aflw-19"])
def test_a_turned_head_has_the_openness_of_one_that_looks_ahead(name: str) -> None:
    schema, solid = SCHEMAS[name], mean(name)
    ahead = of(seen(solid, 0), schema)
    for yaw, pitch in ((40, 0), (-30, 20), (0, -25)):
        turned = of(seen(solid, yaw, pitch), schema)
        assert list(vars(turned).values())[:6] == pytest.approx(list(vars(ahead).values())[:6], abs=1e-3, nan_ok=True)


def test_shares_are_of_the_distance_of_the_eyes() -> None:
    solid = mean("300w-68")
    found = of(seen(solid, 0), W300_68)
    assert found.mouth_width == pytest.approx(solid[54, 0] - solid[48, 0], abs=1e-3)
    assert found.mouth == pytest.approx(solid[66, 1] - solid[62, 1], abs=1e-3)
    gaps = [np.linalg.norm(solid[a, :2] - solid[b, :2]) for a, b in ((37, 41), (38, 40))]
    assert found.left_eye == pytest.approx(np.mean(gaps) / np.linalg.norm(solid[39, :2] - solid[36, :2]), abs=1e-3)
    corners = solid[[36, 39], 1].mean()
    assert found.left_brow == pytest.approx(corners - solid[17:22, 1].mean(), abs=1e-3)


def test_an_open_mouth_and_raised_brows_are_seen() -> None:
    solid = mean("300w-68")
    rest = of(seen(solid, 20), W300_68)
    solid[[65, 66, 67, 55, 56, 57, 58, 59], 1] += 0.2
    solid[17:22, 1] -= 0.1
    changed = of(seen(solid, 20), W300_68)
    assert changed.mouth - rest.mouth == pytest.approx(0.2, abs=0.02)
    assert changed.left_brow - rest.left_brow == pytest.approx(0.1, abs=0.02)
    assert changed.right_brow == pytest.approx(rest.right_brow, abs=0.02)


def test_a_mirror_exchanges_left_and_right() -> None:
    points = seen(mean("wflw-98"), 20) + np.random.default_rng(0).normal(size=(98, 2))
    here, there = of(points, WFLW_98), of(mirror_keypoints(points, WFLW_98.flip_index, 640), WFLW_98)
    assert (there.left_eye, there.right_brow) == pytest.approx((here.right_eye, here.left_brow), abs=1e-6)
    assert there.mouth == pytest.approx(here.mouth, abs=1e-6)


def test_what_is_not_known_is_nan_with_a_reason() -> None:
    few = of(seen(mean("aflw-19"), 0), SCHEMAS["aflw-19"])
    assert np.isnan([few.left_eye, few.mouth]).all()
    assert few.mouth_width > 0.5
    turned = of(seen(mean("300w-68"), 70), W300_68)
    assert np.isnan(turned.mouth_width)
    assert turned.problem == "the head is turned by 70 degrees, of at most 60"
    lost = openness(np.zeros((68, 2)), W300_68, CAMERA, Pose(problem="the landmarks are lost"))
    assert np.isnan(lost.mouth)
    assert lost.problem == "the landmarks are lost"
    points = seen(mean("300w-68"), 0)
    points[37] = np.nan
    one = of(points, W300_68)
    assert np.isnan(one.left_eye)
    assert one.right_eye > 0.2
