"""Faces that are turned: the crop in four directions."""

from pathlib import Path

import numpy as np
import pytest

from darkpose import Predictor
from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.image.geometry import Floats
from darkpose.image.pixels import Pixels, read_image
from darkpose.predict.turned import QUARTER, find_turned

BOX = np.array([[180.0, 69, 271, 170]])  # of the astronaut


class Given:
    """A detector that finds these boxes."""

    name, correction = "fake", BoxCorrection((0.0, 0.128), 0.9)

    def __init__(self, boxes: Floats) -> None:
        self.boxes = boxes

    def __call__(self, image: Pixels) -> Detections:
        return Detections(self.boxes, np.ones(len(self.boxes)))


def turned_by(image: Pixels, points: Floats, turns: int) -> tuple[Pixels, Floats]:
    """An image turned counter-clockwise by quarters, and its points (..., 2)."""
    for _ in range(turns):
        points = np.stack([points[..., 1], image.shape[1] - 1 - points[..., 0]], -1)
        image = np.ascontiguousarray(np.rot90(image))
    return image, points


def turned_box(image: Pixels, turns: int) -> Floats:
    _, corners = turned_by(image, BOX.reshape(-1, 2, 2), turns)
    return np.concatenate([corners.min(1), corners.max(1)], 1)


@pytest.fixture(scope="module")
def image(astronaut: Path) -> Pixels:
    return read_image(astronaut)


def test_a_quarter_turns_directions_back() -> None:
    marked = np.zeros((5, 5), np.uint8)
    marked[2, 4] = 1  # to the right of the centre
    down, right = np.argwhere(np.rot90(marked))[0] - 2
    assert (QUARTER @ [right, down]).tolist() == [2, 0]


@pytest.mark.parametrize("turns", range(4))
def test_a_face_that_is_turned_has_the_landmarks_of_the_upright_one(image: Pixels, turns: int) -> None:
    (upright,) = Predictor("300w-small-dark", "cpu", runtime="onnxruntime", covariance=True, detector=Given(BOX))(image)
    assert (upright.rolled, upright.is_reliable) == (0, True)
    other, expected = turned_by(image, upright.keypoints.astype(np.float64), turns)
    predictor = Predictor(
        "300w-small-dark", "cpu", runtime="onnxruntime", covariance=True, detector=Given(turned_box(image, turns))
    )
    (face,) = predictor(other)
    assert face.rolled == 90 * (-turns % 4)
    np.testing.assert_allclose(face.keypoints, expected, rtol=0, atol=1.5)  # the crop lies 1 crop px elsewhere
    assert face.is_reliable
    assert face.covariance is not None
    assert upright.covariance is not None
    swapped = [1, 0] if turns % 2 else [0, 1]
    variances = np.diagonal(upright.covariance, axis1=1, axis2=2)[:, swapped]
    np.testing.assert_allclose(np.diagonal(face.covariance, axis1=1, axis2=2), variances, rtol=0.5, atol=0.5)


def test_given_boxes_are_of_upright_faces(image: Pixels) -> None:
    other, _ = turned_by(image, BOX, 2)
    (face,) = Predictor("300w-small-dark", "cpu", runtime="onnxruntime")(other, turned_box(image, 2))
    assert face.rolled == 0
    assert not face.is_reliable


def test_no_turn_gives_what_upright_crops_give(image: Pixels) -> None:
    predictor = Predictor("300w-small-dark", "cpu", runtime="onnxruntime", detector=Given(BOX))
    (face,), crop_boxes = predictor(image), Given.correction(BOX)
    config = predictor.config
    found = find_turned(predictor._find, [image], BOX, crop_boxes, 0, config.crop_size, config.padding)
    np.testing.assert_allclose(found.keypoints[0], face.keypoints, rtol=0, atol=1e-3)
