"""Pictures for the programs in `examples/`, and what darkpose finds in them."""

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from darkpose import Predictor
from darkpose.image.pixels import Pixels, read_image
from darkpose.predict.turned import LOW

PICTURES = ("upright", "turned by 90 degrees", "turned by 180 degrees", "large")


def example_picture(name: str) -> Pixels:
    """The astronaut; "large": more than the 640 px that are searched, and not square."""
    image = read_image(Path(__file__).parents[1] / "examples" / "astronaut.png")
    if name == "large":
        return cv2.resize(image, (1000, 1000), interpolation=cv2.INTER_CUBIC)[:701]  # type: ignore[return-value]
    turns = {"upright": 0, "turned by 90 degrees": 3, "turned by 180 degrees": 2}[name]
    return np.ascontiguousarray(np.rot90(image, turns))


@cache
def _predictor(file: Path) -> Predictor:
    return Predictor(file, detector="darkpose", runtime="onnxruntime")


def assert_landmarks(printed: str, image: Pixels, file: Path, *, within: float) -> None:
    """What an example has printed is what darkpose finds by the same file.

    A roll near the middle between two whole degrees may be rounded to either, so crops are turned by that of the
    example. Faces whose landmarks have low scores are only counted: darkpose tries other directions for these.

    Args:
        printed: JSON.
        image: (H, W, 3) uint8 RGB.
        file: exported landmark network.
        within: px that landmarks may differ by.
    """
    found, predictor = json.loads(printed), _predictor(file)
    regions = predictor.regions(image)
    np.testing.assert_allclose([face["score"] for face in found], [each.detection_score for each in regions], atol=0.01)
    apart = np.array([face["roll"] for face in found]) - [each.roll for each in regions]
    assert np.abs((apart + 180) % 360 - 180).max() < 0.5
    rolled = [each._replace(roll=face["roll"]) for each, face in zip(regions, found, strict=True)]
    sure = [pair for pair in zip(found, predictor.locate(rolled), strict=True) if pair[1].scores.mean() >= LOW]
    assert sure
    for face, expected in sure:
        points = face["keypoints"]
        assert [point["name"] for point in points] == list(predictor.schema.names)
        places = [[point["x"], point["y"]] for point in points]
        np.testing.assert_allclose(places, expected.keypoints, rtol=0, atol=within)
        np.testing.assert_allclose([point["score"] for point in points], expected.scores, rtol=0, atol=within / 5)
