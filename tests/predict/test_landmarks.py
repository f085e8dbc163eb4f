"""Crops -> landmarks in the image, by any network."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from darkpose.codec.heatmap import decode
from darkpose.image.pixels import Pixels
from darkpose.predict.covariance import calibrated
from darkpose.predict.landmarks import LandmarkFinder, find_landmarks
from darkpose.runtime.flip import FlipTest, heatmaps_by_flip
from darkpose.runtime.network import Runtime
from darkpose.schema import KeypointSchema
from darkpose.weights.calibrations import Calibration

TWO = KeypointSchema("two", ("left_a", "right_a"), ((0, 1),))
CALIBRATION = Calibration("two", 7.8, (0.5, 1.0), (0.1, 0.2), {})


class RedAndItsNegative:
    """Two landmarks: the red of the crop at a quarter of the size, and 255 minus it."""

    name = "red"
    runtime: Runtime = "onnxruntime"

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, crops: Pixels) -> NDArray[np.float32]:
        self.sizes.append(len(crops))
        n, height, width, _ = crops.shape
        red = crops[..., 0].reshape(n, height // 4, 4, width // 4, 4).mean(axis=(2, 4), dtype=np.float32)
        return np.stack([red, 255 - red], axis=1)


def faces(count: int) -> tuple[Pixels, NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (count, 64, 64, 3), np.uint8)
    sides = rng.uniform(50, 200, (count, 1)).repeat(2, axis=1)
    return crops, rng.uniform(0, 500, (count, 2)), sides


def test_landmarks_are_decoded_and_brought_into_the_image() -> None:
    crops, center, sides = faces(3)
    heatmaps = RedAndItsNegative()(crops)
    found, decoded = find_landmarks(heatmaps, center, sides), decode(heatmaps)
    expected = center[:, None] + (decoded.points / 16 - 0.5) * sides[:, None]
    np.testing.assert_allclose(found.keypoints, expected, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(found.scores, decoded.scores)
    assert found.covariance is None


@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
@pytest.mark.parametrize("flip_test", ["off", "published"])
def test_landmarks_do_not_depend_on_the_batch_size(batch_size: int, flip_test: FlipTest) -> None:
    crops, center, sides = faces(7)
    heatmaps = heatmaps_by_flip(RedAndItsNegative(), crops, TWO.flip_index, [flip_test])[flip_test]
    expected, network = find_landmarks(heatmaps, center, sides), RedAndItsNegative()

    def one_by_one() -> Iterator[Pixels]:
        yield from crops

    found = LandmarkFinder(network, TWO, flip_test, batch_size=batch_size)(one_by_one(), center, sides)
    np.testing.assert_allclose(found.keypoints, expected.keypoints, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=0, atol=1e-4)
    assert sum(network.sizes) == 7 * (1 if flip_test == "off" else 2)
    assert max(network.sizes) == min(batch_size, 7)


def test_method_and_kernel_size_reach_the_decoder() -> None:
    crops, center, sides = faces(2)
    heatmaps, plain = RedAndItsNegative()(crops), LandmarkFinder(RedAndItsNegative(), TWO)
    for changed in (replace(plain, method="argmax"), replace(plain, kernel_size=5)):
        found = changed(crops, center, sides).keypoints
        settings = {"method": changed.method, "kernel_size": changed.kernel_size}
        expected = find_landmarks(heatmaps, center, sides, **settings)  # type: ignore[arg-type]
        np.testing.assert_array_equal(found, expected.keypoints)
        assert np.abs(found - plain(crops, center, sides).keypoints).max() > 1e-3


def test_covariances_are_calibrated_in_image_px_and_unknown_without_a_calibration() -> None:
    crops, center, sides = faces(5)
    plain = LandmarkFinder(RedAndItsNegative(), TWO, method="dark+", batch_size=2)
    asked = replace(plain, covariance=True, calibration=CALIBRATION)
    peaks = decode(RedAndItsNegative()(crops), method="dark+", covariance=True).covariance
    assert peaks is not None
    expected = calibrated(peaks, CALIBRATION) * (sides[:, :1, None, None] / 16) ** 2
    found = asked(crops, center, sides)
    assert found.covariance is not None
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-5)
    np.testing.assert_array_equal(found.keypoints, plain(crops, center, sides).keypoints)
    unknown = replace(asked, calibration=None)(crops, center, sides).covariance
    assert unknown is not None
    assert unknown.shape == (5, 2, 2, 2)
    assert np.isnan(unknown).all()


def test_no_crops_give_no_landmarks() -> None:
    none = np.zeros((0, 2))
    for covariance in (False, True):
        found = LandmarkFinder(RedAndItsNegative(), TWO, covariance=covariance)([], none, none)
        assert (found.keypoints.shape, found.scores.shape) == ((0, 2, 2), (0, 2))
        assert found.keypoints.dtype == found.scores.dtype == np.float32
        assert (found.covariance is not None) == covariance
