"""Small faces in large images, by any detector."""

from pathlib import Path

import numpy as np
import pytest

from darkpose.detect.boxes import BoxCorrection, Detections
from darkpose.detect.haar import Haar
from darkpose.detect.tiles import TILE, Tiled, find_in_tiles
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, read_image
from darkpose.predict.predictor import Predictor


class Squares:
    """Finds white squares of 20 px to half of the image, as a detector with a fixed relative limit would."""

    name, correction = "squares", BoxCorrection()

    def __call__(self, image: Pixels) -> Detections:
        _, _, stats, _ = cv2.connectedComponentsWithStats((image[..., 0] > 127).astype(np.uint8))
        rows = np.asarray([row for row in stats[1:] if max(row[2:4]) >= max(20, max(image.shape[:2]) / 25)], float)
        rows = rows.reshape(-1, 5)
        boxes = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1)
        return Detections.sorted(boxes, np.full(len(boxes), 0.9))


@pytest.mark.parametrize("side", [20, 45, 90, 150, 200, 400, 900])
def test_squares_of_every_size_are_found_once_wherever_they_are(side: int) -> None:
    image = np.zeros((1500, 2300, 3), np.uint8)
    rng = np.random.default_rng(side)
    for _ in range(12):
        x, y = (int(rng.integers(0, limit - side)) for limit in (2300, 1500))
        image[:] = 0
        image[y : y + side, x : x + side] = 255
        (box,) = find_in_tiles(Squares(), image).boxes
        np.testing.assert_allclose(box, [x, y, x + side, y + side], atol=max(4, side / 20))


def test_an_image_of_the_size_of_a_tile_is_searched_once() -> None:
    image = np.zeros((TILE, TILE, 3), np.uint8)
    image[100:140, 100:140] = 255
    assert find_in_tiles(Squares(), image).boxes.tolist() == [[100, 100, 140, 140]]
    assert len(find_in_tiles(Squares(), image[:1, :1]).boxes) == 0


def test_a_small_face_in_a_large_photograph_is_found_by_haar(astronaut: Path) -> None:
    large = np.full((2400, 2400, 3), 90, np.uint8)
    large[1500:1756, 700:956] = cv2.resize(read_image(astronaut), (256, 256), interpolation=cv2.INTER_AREA)
    usual, small = Haar(), Tiled(Haar())
    assert usual.smallest((2400, 2400)) == 120
    assert small.smallest((2400, 2400)) == 24
    assert len(usual(large).boxes) == 0
    best = small(large).boxes[0]
    assert best == pytest.approx([700 + 89, 1500 + 33, 700 + 135, 1500 + 88], abs=15)


def test_a_predictor_searches_tiles_with_the_detector_of_the_caller(small_weights: Path) -> None:
    image = np.zeros((900, 1200, 3), np.uint8)
    image[500:530, 800:830] = 255
    usual = Predictor(small_weights, "cpu", detector=Squares())
    small = Predictor(small_weights, "cpu", detector=Squares(), find="small")
    assert len(usual(image)) == 0
    (face,) = small(image)
    assert face.found_by == "squares"
    assert small.smallest_face((1200, 900)) is None
    assert usual.facts() != small.facts()
