"""Faces drawn on images."""

from dataclasses import replace

import numpy as np
import pytest

from darkpose.predict.draw import draw_faces, zoom_for
from darkpose.predict.face import Face
from darkpose.schema import W300_68


def a_face(low: float, high: float) -> Face:
    keypoints = np.random.default_rng(0).uniform(low, high, (68, 2)).astype(np.float32)
    keypoints[0], keypoints[1] = low, high
    return Face(keypoints, np.ones(68, np.float32), np.array([low, low, high, high]), W300_68)


@pytest.fixture
def grey() -> np.ndarray:
    return np.full((120, 160, 3), 128, np.uint8)


def test_drawing_does_not_change_the_image_and_keeps_its_size(grey: np.ndarray) -> None:
    drawn = draw_faces(grey, [a_face(30, 90)], scores=True)
    assert (grey == 128).all()
    assert drawn.shape == grey.shape
    assert (drawn != 128).any()


def test_every_landmark_is_drawn_where_it_is(grey: np.ndarray) -> None:
    face = a_face(30, 90)
    drawn = draw_faces(grey, [face], boxes=False)
    for x, y in np.round(face.keypoints).astype(int):
        assert (drawn[y - 1 : y + 2, x - 1 : x + 2] != 128).any()
    outside = drawn.copy()
    outside[25:96, 25:96] = 128
    assert (outside == 128).all()


def test_landmarks_keep_their_place_in_an_enlarged_picture(grey: np.ndarray) -> None:
    face = a_face(60, 60.5)  # so small that it is one dot
    drawn = draw_faces(grey, [face], boxes=False, zoom=4)
    assert drawn.shape == (480, 640, 3)
    y, x = np.argwhere((drawn != 128).any(axis=2)).mean(axis=0)
    assert (x, y) == pytest.approx((60.25 * 4 + 1.5,) * 2, abs=0.6)


def test_covariances_are_drawn_as_ellipses_of_95_per_cent(grey: np.ndarray) -> None:
    face = a_face(75, 75.5)  # so small that it is one dot
    covariance = np.full((68, 2, 2), np.nan, np.float32)
    covariance[7] = [[100, 0], [0, 25]]
    y, x = np.argwhere((draw_faces(grey, [replace(face, covariance=covariance)], boxes=False) != 128).any(axis=2)).T
    reach = np.sqrt(5.991465)
    assert (x.max() - x.min()) / 2 == pytest.approx(10 * reach, abs=1.5)
    assert (y.max() - y.min()) / 2 == pytest.approx(5 * reach, abs=1.5)
    unknown = replace(face, covariance=np.full_like(covariance, np.nan))
    assert (draw_faces(grey, [unknown]) == draw_faces(grey, [face])).all()


def test_landmarks_far_outside_and_no_faces_are_drawn_without_an_error(grey: np.ndarray) -> None:
    face = a_face(30, 90)
    face.keypoints[5] = (1e9, -1e9)
    draw_faces(grey, [face])
    assert (draw_faces(grey, []) == 128).all()


@pytest.mark.parametrize(
    ("size", "extent", "zoom"),
    [((500, 500), 100, 2), ((500, 500), 300, 1), ((500, 500), 20, 4), ((3000, 2000), 20, 1), ((1000, 500), 20, 2)],
)
def test_zoom_makes_small_faces_readable_and_is_limited(size: tuple[int, int], extent: int, zoom: int) -> None:
    assert zoom_for(np.zeros((*size, 3), np.uint8), [a_face(0, extent)]) == zoom


def test_without_faces_there_is_no_zoom(grey: np.ndarray) -> None:
    assert zoom_for(grey, []) == 1
