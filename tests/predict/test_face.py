"""One face: names, scores, the aligned crop."""

import numpy as np
import pytest

from darkpose.errors import DarkposeError
from darkpose.predict.face import Face
from darkpose.schema import W300_68, KeypointSchema, flip_pairs_from_names


def a_face(schema: KeypointSchema = W300_68, image: np.ndarray | None = None) -> Face:
    keypoints = np.random.default_rng(0).uniform(20, 80, (len(schema), 2)).astype(np.float32)
    return Face(keypoints, np.full(len(schema), 0.5, np.float32), np.array([20.0, 20, 80, 80]), schema, image=image)


def test_a_landmark_is_found_by_its_name() -> None:
    face = a_face()
    assert (face["nose_bridge_3"] == face.keypoints[30]).all()
    assert face.score == 0.5


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(DarkposeError, match="left_eye_outer_corner"):
        a_face()["left_eye_outer_cornr"]
    with pytest.raises(DarkposeError, match=r"no landmark 'zzz'; .*left_contour_0, left_contour_1, "):
        a_face()["zzz"]


def test_a_face_is_no_sequence_and_has_no_index() -> None:
    with pytest.raises(TypeError, match="not iterable"):
        list(a_face())  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="by its name"):
        a_face()[3]  # type: ignore[index]


@pytest.mark.parametrize("size", [0, -3, 64.0, True])
def test_an_aligned_crop_has_a_positive_whole_size(size: int) -> None:
    with pytest.raises(DarkposeError, match="size must be a positive whole number"):
        a_face(image=np.zeros((9, 9, 3), np.uint8)).aligned(size)


def test_aligned_brings_the_eyes_level_to_fixed_places() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    face = a_face(image=image)
    left, right = np.array([30.0, 60.0]), np.array([60.0, 40.0])  # tilted by a third
    face.keypoints[36:42], face.keypoints[42:48] = left, right
    for eye, colour in ((left, (255, 0, 0)), (right, (0, 255, 0))):
        x, y = eye.astype(int)
        image[y - 1 : y + 2, x - 1 : x + 2] = colour
    aligned = face.aligned(201)
    assert aligned.shape == (201, 201, 3)
    for channel, place in ((0, (70, 80)), (1, (130, 80))):
        y, x = np.argwhere(aligned[..., channel] > 128).mean(axis=0)
        assert (x, y) == pytest.approx(place, abs=0.6)


def test_a_face_without_its_image_or_without_eyes_cannot_be_aligned() -> None:
    with pytest.raises(DarkposeError, match="no image"):
        a_face().aligned()
    names = ("a", "b")
    plain = KeypointSchema("plain", names, flip_pairs_from_names(names))
    with pytest.raises(DarkposeError, match="does not name the eyes"):
        a_face(plain, np.zeros((100, 100, 3), np.uint8)).aligned()


def test_eyes_in_one_place_cannot_be_aligned() -> None:
    face = a_face(image=np.zeros((100, 100, 3), np.uint8))
    face.keypoints[36:48] = 50
    with pytest.raises(DarkposeError, match="cannot be aligned"):
        face.aligned()
