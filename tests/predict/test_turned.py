"""Faces that are turned: crops by the roll that a detector gives, or in four directions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose import Predictor
from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.image.geometry import Floats, image_to_crop, transform
from darkpose.image.pixels import Pixels, read_image, warp_image
from darkpose.predict.turned import UPRIGHT, CropFinder

BOX = np.array([[180.0, 69, 271, 170]])  # of the astronaut


class Given:
    """A detector that finds these boxes."""

    name, correction = "fake", BoxCorrection((0.0, 0.128), 0.9)

    def __init__(self, boxes: Floats, rolls: list[float] | None = None) -> None:
        self.boxes, self.rolls = boxes, rolls

    def __call__(self, image: Pixels) -> Detections:
        scores = np.ones(len(self.boxes))
        if self.rolls is None:
            return Detections(self.boxes, scores)
        return Detections(self.boxes, scores, self.correction(self.boxes), np.array(self.rolls))


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
    finder = CropFinder(predictor._find, predictor.config.crop_size, predictor.config.padding)
    found = finder.turned([image], crop_boxes, np.array([0]))
    np.testing.assert_allclose(found.keypoints[0], face.keypoints, rtol=0, atol=1e-3)


@pytest.mark.parametrize("roll", [-150, -60, 10, 50, 120, 180])
def test_a_face_of_known_roll_has_the_landmarks_of_the_upright_one(image: Pixels, roll: int) -> None:
    settings: dict[str, Any] = {"runtime": "onnxruntime", "covariance": True}
    (upright,) = Predictor("300w-small-dark", "cpu", detector=Given(BOX), **settings)(image)
    centre = (Given.correction(BOX)[0, :2] + Given.correction(BOX)[0, 2:]) / 2
    matrix = image_to_crop(centre, 300, (300, 300), -roll)
    other, side = warp_image(image, matrix, (300, 300)), Given.correction(BOX)[0, 2] - Given.correction(BOX)[0, 0]
    detector = Given(np.array([[150 - side / 2, 150 - side / 2, 150 + side / 2, 150 + side / 2]]), [float(roll)])
    detector.correction = BoxCorrection()
    (face,) = Predictor("300w-small-dark", "cpu", detector=detector, **settings)(other)
    assert face.rolled == (roll % 360 if abs(roll) > UPRIGHT else 0)
    expected = transform(matrix, upright.keypoints)
    np.testing.assert_allclose(face.keypoints, expected, rtol=0, atol=2.0)
    assert face.covariance is not None
    assert upright.covariance is not None
    turn = matrix[:, :2]
    np.testing.assert_allclose(
        np.median(face.covariance, axis=0), np.median(turn @ upright.covariance @ turn.T, axis=0), rtol=0.5, atol=0.3
    )


def test_faces_keep_their_places_when_some_are_turned(image: Pixels) -> None:
    down, _ = turned_by(image, BOX, 2)
    beside = turned_box(image, 2) + np.array([image.shape[1], 0, image.shape[1], 0])
    detector = Given(np.concatenate([BOX, beside, BOX - 2]), [0.0, 180.0, 5.0])
    detector.correction = BoxCorrection(scale=1.1)
    predictor = Predictor("300w-small-dark", "cpu", runtime="onnxruntime", detector=detector)
    faces = predictor(np.concatenate([image, down], axis=1))
    assert [face.rolled for face in faces] == [0, 180, 0]
    assert faces[1].is_reliable
    detector.boxes, detector.rolls = BOX - 2, [5.0]
    (alone,) = predictor(image)
    np.testing.assert_allclose(faces[2].keypoints, alone.keypoints, rtol=0, atol=1e-3)


def test_a_wrong_roll_is_made_good_by_turning_the_crop(image: Pixels) -> None:
    other, _ = turned_by(image, BOX, 2)
    for picture, box, wrong, right in ((other, turned_box(image, 2), 0.0, 180), (image, BOX, 180.0, 0)):
        detector = Given(box, [wrong])
        (face,) = Predictor("300w-small-dark", "cpu", runtime="onnxruntime", detector=detector)(picture)
        assert face.rolled == right
        assert face.is_reliable
