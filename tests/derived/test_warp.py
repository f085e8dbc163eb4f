"""One face warped onto another, and averages."""

import numpy as np
import pytest

from darkpose.derived.mean_face import mean_face
from darkpose.derived.warp import average_face, average_shape, mesh, outline, warp_face
from darkpose.errors import DarkposeError
from darkpose.image.geometry import transform
from darkpose.schema import AFLW_19, W300_68


def a_shape(scale: float = 60.0) -> np.ndarray:
    face = mean_face("300w-68")
    assert face is not None
    return face.points[:, :2] * scale + [100, 80]


@pytest.fixture
def picture() -> np.ndarray:
    """Smooth, so that interpolation is nearly exact: red grows along x, green along y."""
    y, x = np.mgrid[:220, :200]
    return np.stack([x, y, 0 * x + 128], axis=-1).astype(np.uint8)


def test_a_face_warped_onto_itself_is_the_same_picture(picture: np.ndarray) -> None:
    assert (warp_face(picture, a_shape(), a_shape(), W300_68, (200, 220)) == picture).all()


def test_each_landmark_brings_its_pixel_along(picture: np.ndarray) -> None:
    target = a_shape() + np.random.default_rng(0).normal(size=(68, 2))
    warped = warp_face(picture, a_shape(), target, W300_68, (200, 220))
    for place, origin in zip(np.round(target).astype(int), a_shape(), strict=True):
        assert warped[place[1], place[0], :2] == pytest.approx(origin, abs=3)


def test_a_similarity_moves_the_whole_picture(picture: np.ndarray) -> None:
    matrix = np.array([[0.9, 0.2, 5.0], [-0.2, 0.9, 20.0]])
    warped = warp_face(picture, a_shape(), transform(matrix, a_shape()), W300_68, (200, 220))
    points = np.array([[60, 60], [100, 150], [20, 190], [180, 20]])
    for x, y in points:
        place = np.round(transform(matrix, [x, y])).astype(int)
        assert warped[place[1], place[0], :2] == pytest.approx([x, y], abs=2)


def test_a_face_that_shrinks_is_averaged(picture: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (440, 400, 3)).astype(np.uint8)
    small = warp_face(noise, 4 * a_shape(30), a_shape(30), W300_68, (60, 60))
    assert small[5:40, 5:40].std() < 0.5 * noise.std()


def test_the_outline_is_contour_and_brows() -> None:
    line = outline(mesh(W300_68))
    assert set(line) == set(range(27))


def test_faces_of_one_colour_have_the_average_of_the_colours() -> None:
    faces = [(np.full((220, 200, 3), value, np.uint8), a_shape(size)) for value, size in ((50, 60.0), (150, 50.0))]
    shape = average_shape([points for _, points in faces], W300_68, 128)
    average = average_face(faces, shape, W300_68, 128)
    assert average.shape == (128, 128, 3)
    assert (average[40:90, 40:90] == 100).all()


def test_the_average_shape_forgets_place_size_and_roll() -> None:
    turned = transform([[0.6, -0.8, 30], [0.8, 0.6, 10]], a_shape(20))
    shape = average_shape([a_shape(), turned], W300_68, 256)
    assert shape == pytest.approx(average_shape([a_shape()], W300_68, 256), abs=1e-6)
    assert 0 < shape.min() < shape.max() < 256


def test_what_cannot_be_warped_is_refused(picture: np.ndarray) -> None:
    lost = a_shape()
    lost[3] = np.nan
    for wrong in (lost, np.ones((68, 2)), np.ones((5, 2))):
        with pytest.raises(DarkposeError, match="warping needs 68 known landmarks"):
            warp_face(picture, wrong, a_shape(), W300_68, (64, 64))
    with pytest.raises(DarkposeError, match="no triangles for the landmarks of aflw-19"):
        warp_face(picture, np.ones((19, 2)), np.ones((19, 2)), AFLW_19, (64, 64))
    with pytest.raises(DarkposeError, match="from 1 to 4096 px"):
        warp_face(picture, a_shape(), a_shape(), W300_68, (0, 64))
    with pytest.raises(DarkposeError, match="no face to average"):
        average_face([], a_shape(), W300_68, 64)
    with pytest.raises(DarkposeError, match="no face to average"):
        average_shape([], W300_68, 64)
