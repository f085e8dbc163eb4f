"""Box corrections and the order of detections."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from darkpose.detect.boxes import BoxCorrection, Detections

coordinate = st.floats(-500, 500, allow_subnormal=False)


@given(coordinate, coordinate, st.floats(1, 300), st.floats(1, 300))
def test_a_correction_of_nothing_squares_the_box_around_its_centre(x: float, y: float, w: float, h: float) -> None:
    (square,) = BoxCorrection()([[x, y, x + w, y + h]])
    np.testing.assert_allclose(square[2:] - square[:2], max(w, h), atol=1e-9)
    np.testing.assert_allclose((square[:2] + square[2:]) / 2, [x + w / 2, y + h / 2], atol=1e-9)


def test_a_correction_shifts_and_scales_by_the_longer_side() -> None:
    (square,) = BoxCorrection(shift=(0.1, -0.2), scale=0.5)([[0, 0, 100, 50]])
    assert square.tolist() == [35.0, -20.0, 85.0, 30.0]


def test_no_boxes_stay_no_boxes() -> None:
    assert BoxCorrection(scale=2.0)(np.zeros((0, 4))).shape == (0, 4)


def test_detections_are_sorted_by_score() -> None:
    boxes = np.arange(12.0).reshape(3, 4)
    found = Detections.sorted(boxes, np.array([0.2, 0.9, 0.5]))
    assert found.scores.tolist() == [0.9, 0.5, 0.2]
    assert found.boxes.tolist() == boxes[[1, 2, 0]].tolist()
