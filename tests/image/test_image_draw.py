"""Drawing at sub-pixel positions."""

import numpy as np
import pytest

from darkpose.image.draw import (
    WHITE,
    draw_disc,
    draw_landmarks,
    draw_outlines,
    draw_polyline,
    draw_text,
    fixed_point,
    line_width,
)


@pytest.fixture
def black() -> np.ndarray:
    return np.zeros((60, 80, 3), np.uint8)


def centre(canvas: np.ndarray) -> tuple[float, float]:
    """(x, y) of the brightness."""
    brightness = canvas.sum(axis=2, dtype=float)
    y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]]
    return float((x * brightness).sum() / brightness.sum()), float((y * brightness).sum() / brightness.sum())


def test_coordinates_are_rounded_to_sixteenths_of_a_pixel() -> None:
    assert fixed_point([0.0, 1.0, -0.5, 0.031, 0.033]).tolist() == [0, 16, -8, 0, 1]
    assert fixed_point([1e12, -1e12]).tolist() == [16_000_000, -16_000_000]  # far away, and no overflow


@pytest.mark.parametrize("point", [(40.0, 30.0), (40.5, 30.25), (39.75, 29.5)])
def test_a_disc_is_drawn_around_its_centre(black: np.ndarray, point: tuple[float, float]) -> None:
    draw_disc(black, point, 6.0, (255, 255, 255))
    assert centre(black) == pytest.approx(point, abs=0.1)
    assert black.sum() / (3 * 255) == pytest.approx(np.pi * 6.5**2, rel=0.03)  # OpenCV fills half a pixel more


def test_a_closed_line_returns_to_its_start(black: np.ndarray) -> None:
    square = np.array([[20, 20], [50, 20], [50, 50], [20, 50]])
    closed = black.copy()
    draw_polyline(black, square, (0, 255, 0), 1)
    draw_polyline(closed, square, (0, 255, 0), 1, closed=True)
    assert not black[35, 18:23].any()
    assert closed[35, 20, 1] > 200
    assert not closed[35, 20, [0, 2]].any()


def test_lines_grow_with_the_face() -> None:
    assert [line_width(extent) for extent in (20, 200, 1000)] == [1, 1, 5]


def test_outlines_and_landmarks_are_drawn_in_place(black: np.ndarray) -> None:
    keypoints = np.array([[10.0, 30.0], [30.0, 30.0], [70.0, 30.0]])
    draw_outlines(black, keypoints, [(0, 1)], 60.0)
    assert black[30, 20].any()
    assert not black[30, 40:].any()
    draw_landmarks(black, keypoints, 60.0)
    assert black[30, 70].tolist() == [255, 255, 255]
    assert not black[:20].any()


def test_text_is_drawn_to_the_right_of_its_place_with_its_middle_there() -> None:
    canvas = np.zeros((60, 100, 3), np.uint8)
    draw_text(canvas, "08", (30.0, 30.0), WHITE, 12)
    y, x = np.nonzero(canvas.min(axis=2) > 150)
    assert 29 <= x.min() < x.max() <= 60
    assert abs((y.min() + y.max()) / 2 - 30) <= 2
    draw_text(canvas, "0", (np.float64(1e12), -5.0), WHITE, 12)  # outside
