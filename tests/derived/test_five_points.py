"""Five points of every schema that has them."""

import numpy as np
import pytest

from darkpose.derived.five_points import five_points
from darkpose.derived.mean_face import mean_face
from darkpose.errors import DarkposeError
from darkpose.schema import COFW_29, SCHEMAS, W300_68, KeypointSchema, flip_pairs_from_names


def test_the_five_points_are_eyes_nose_and_mouth_left_and_right_as_in_the_picture() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    five = five_points(points, W300_68)
    assert five[0] == pytest.approx(points[36:42].mean(axis=0))
    assert five[1] == pytest.approx(points[42:48].mean(axis=0))
    assert (five[2:] == points[[30, 48, 54]]).all()


def test_they_are_nearly_the_same_in_every_schema() -> None:
    each = []
    for name in ("300w-68", "wflw-98", "aflw-19"):
        face = mean_face(name)
        assert face is not None
        each.append(five_points(face.points[:, :2], SCHEMAS[name]))
    assert np.abs(np.ptp(each, axis=0)).max() < 0.03  # of the distance of the eyes
    assert five_points(np.zeros((29, 2)), COFW_29).shape == (5, 2)


def test_a_mirror_exchanges_left_and_right() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    mirrored = points[W300_68.flip_index] * [-1, 1]
    assert five_points(mirrored, W300_68) == pytest.approx(five_points(points, W300_68)[[1, 0, 2, 4, 3]] * [-1, 1])


def test_a_schema_without_them_is_refused() -> None:
    names = ("a", "b")
    with pytest.raises(DarkposeError, match="plain does not name the eyes"):
        five_points(np.zeros((2, 2)), KeypointSchema("plain", names, flip_pairs_from_names(names)))
