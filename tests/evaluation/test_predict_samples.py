"""Predictions for annotated faces."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from darkpose.datasets.sample import Sample
from darkpose.evaluation.predict_samples import predict_samples, samples_nme
from darkpose.image.opencv import cv2
from darkpose.image.pixels import Pixels, write_image
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.network import Runtime
from darkpose.schema import AFLW_19, KeypointSchema, flip_pairs_from_names

ONE = KeypointSchema("one", ("middle_dot",), flip_pairs_from_names(("middle_dot",)))


class RedDotFinder:
    """A network that sees red: heatmap j is the mean red around crop pixel 4j."""

    name = "red dots"
    runtime: Runtime = "onnxruntime"

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        red = crops[..., 0].astype(np.float32)
        return np.asarray(np.stack([cv2.blur(each, (9, 9))[::4, ::4] for each in red])[:, None] + 1e-3, np.float32)


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Black pictures with one soft red dot, in boxes of several sizes and places."""
    rng, samples = np.random.default_rng(1), []
    y, x = np.mgrid[:200, :240]
    for number in range(5):
        box = np.array([20.0, 30, 20, 30]) + np.array([0, 0, 110, 110]) + rng.uniform(0, 40, 4)
        dot = (box[:2] + box[2:]) / 2 + rng.uniform(-25, 25, 2)
        image = np.zeros((200, 240, 3), np.uint8)
        image[..., 0] = 255 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) / (2 * 6.0**2))
        write_image(tmp_path / f"{number}.png", image)
        samples.append(Sample(tmp_path / f"{number}.png", dot[None], np.ones(1), box))
    return samples


def test_landmarks_come_back_to_where_they_are_in_the_image(samples: list[Sample]) -> None:
    found = predict_samples(LandmarkFinder(RedDotFinder(), ONE, batch_size=2), samples, crop_size=128, padding=1.25)
    expected = np.stack([sample.keypoints for sample in samples])
    assert found.scores.shape == (5, 1)
    np.testing.assert_allclose(found.keypoints, expected, atol=0.25)


def test_nme_is_pooled_with_the_normaliser_of_the_schema(samples: list[Sample]) -> None:
    rng = np.random.default_rng(2)
    keypoints = rng.uniform(0, 100, (2, 19, 2))
    visible = np.array([[1.0] * 19, [1.0] * 10 + [0.0] * 9])
    boxes = np.array([[0.0, 0, 100, 80], [10, 10, 60, 60]])
    faces = [Sample(Path("x.png"), keypoints[i], visible[i], boxes[i]) for i in range(2)]
    predicted = keypoints + rng.normal(0, 2, keypoints.shape)
    errors = []
    for face, side, points in zip(faces, (100, 50), predicted, strict=True):
        for k in range(19):
            if face.visible[k]:
                errors.append(float(np.hypot(*(points[k] - face.keypoints[k]))) / side)
    assert samples_nme(predicted, faces, AFLW_19) == pytest.approx(np.mean(errors), rel=1e-9)
