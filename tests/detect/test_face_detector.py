"""darkpose's face detector, with the weights in the package."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from darkpose.detect.cells import FoundFaces
from darkpose.detect.face_detector import FaceDetector, face_boxes
from darkpose.evaluation.detection import box_overlaps
from darkpose.image.pixels import Pixels, read_image
from darkpose.runtime.open import Engine

ASTRONAUT = np.array([[180.0, 85, 265, 175]])  # landmark box


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector(engine=Engine("onnxruntime"))


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_face_is_found_with_its_roll_however_the_picture_is_turned(
    detector: FaceDetector, astronaut: Path, turns: int
) -> None:
    image, box = read_image(astronaut), ASTRONAUT
    for _ in range(turns):  # clockwise
        image = np.ascontiguousarray(np.rot90(image, -1))
        height = image.shape[1]
        box = np.column_stack([height - 1 - box[:, 3], box[:, 0], height - 1 - box[:, 1], box[:, 2]])
    found = detector(image)
    assert found.rolls is not None
    assert found.scores[0] > 0.95
    assert (found.scores[1:] < 0.7).all()
    assert box_overlaps(found.boxes[:1], box)[0, 0] > 0.5
    assert abs((found.rolls[0] - 90 * turns + 180) % 360 - 180) < 25


@pytest.mark.parametrize("size", [(1, 1), (1, 700), (3, 2), (3000, 10), (31, 33), (640, 640)])
@pytest.mark.parametrize("kind", ["black", "white", "noise"])
def test_pictures_without_faces_give_no_stray_boxes(detector: FaceDetector, size: tuple[int, int], kind: str) -> None:
    image: Pixels = np.full((*size, 3), 255 * (kind == "white"), np.uint8)
    if kind == "noise":
        image = np.random.default_rng(0).integers(0, 256, image.shape, np.uint8)
    found = detector(image)
    assert np.isfinite(found.boxes).all()
    assert len(found.boxes) <= 1
    for each in (found.boxes, found.crop_boxes):
        assert each is not None
        centres = (each[:, :2] + each[:, 2:]) / 2
        assert ((centres >= -0.5) & (centres <= np.array(size)[::-1] - 0.5)).all()


def test_a_larger_picture_has_the_same_faces(detector: FaceDetector, astronaut: Path) -> None:
    image = read_image(astronaut)
    first, second = detector(image), detector(np.repeat(np.repeat(image, 2, axis=0), 2, axis=1))
    np.testing.assert_allclose(second.boxes[0], first.boxes[0] * 2 + 0.5, atol=4)


def test_faces_of_any_size_are_found(detector: FaceDetector, astronaut: Path) -> None:
    head = read_image(astronaut)[30:200, 150:300]
    for image in (head, np.tile(head, (4, 4, 1)), np.tile(head, (12, 12, 1))):
        tiles = image.shape[0] // len(head)
        assert tiles**2 * 0.95 <= len(detector(image).boxes) <= tiles**2 * 1.1


def test_a_batch_gives_the_faces_of_each_image(detector: FaceDetector, astronaut: Path) -> None:
    image = read_image(astronaut)
    images = [image, np.ascontiguousarray(image[::-1]), image[:, ::-1]]
    for together, image in zip(detector.batch(images), images, strict=True):
        alone = detector(image)
        np.testing.assert_allclose(together.boxes, alone.boxes, atol=1e-3)
        np.testing.assert_allclose(together.scores, alone.scores, atol=1e-5)


def test_a_face_box_reaches_from_the_landmark_box_to_the_forehead() -> None:
    upright = FoundFaces(np.array([[50.0, 60]]), np.array([[40.0, 40]]), np.zeros(1), np.ones(1))
    left, top, right, bottom = face_boxes(upright).upright_boxes()[0]
    assert (right - left, left + right) == (pytest.approx(40 / 1.03), pytest.approx(100))
    assert top < 60 - 20 - 5
    assert bottom == pytest.approx(80, abs=1)
    quarter = replace(upright, roll=np.array([np.pi / 2]))  # turned clockwise: the forehead is on the right
    turned = face_boxes(quarter).upright_boxes()[0]
    np.testing.assert_allclose(turned - [50, 60, 50, 60], [60 - bottom, left - 50, 60 - top, right - 50], atol=1e-9)
