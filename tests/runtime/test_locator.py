from collections.abc import Iterator

import numpy as np

from darkpose.image.geometry import transform
from darkpose.image.pixels import Pixels
from darkpose.runtime.card import GraphCard
from darkpose.runtime.exported import Arrays, GraphRunner
from darkpose.runtime.locator import GraphLocator, matrices_of
from darkpose.schema import KeypointSchema
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

TWO = KeypointSchema("two", ("left_a", "right_a"), ((0, 1),))
CENTER, SIDES = np.array([[10.0, 20], [30, 40], [5, 6]]), np.array([[32.0, 32], [64, 64], [16, 16]])


def runner(sizes: list[int], *outputs: str) -> GraphRunner:
    """Finds the crops' brightest pixel value as a score, and the image px of crop px (0, 0) as every landmark."""

    def run(crops: np.ndarray, matrices: np.ndarray) -> Arrays:
        sizes.append(len(crops))
        points = np.repeat(matrices[:, None, :, 2], 2, axis=1)
        scores = np.repeat(crops.max(axis=(1, 2, 3))[:, None], 2, axis=1).astype(np.float32)
        found = {"keypoints": points, "scores": scores, "covariance": np.ones((len(crops), 2, 2, 2), np.float32)}
        return {name: found[name] for name in outputs}

    config = CheckpointConfig(HRNetConfig(2), crop_size=32)
    return GraphRunner(GraphCard(TWO, config, "off", "dark", "fp32", "uint8", outputs, 20, {}, "1"), "abacus", run)


def crops() -> Iterator[Pixels]:
    for value in (1, 2, 3):
        yield np.full((32, 32, 3), value, np.uint8)


def test_matrices_take_crops_into_the_image() -> None:
    matrices = matrices_of(CENTER, SIDES, 32)
    for matrix, center, side in zip(matrices, CENTER, SIDES, strict=True):
        expected = np.stack([center - side / 2, center])
        np.testing.assert_allclose(transform(matrix, np.array([[0.0, 0], [16, 16]])), expected, atol=1e-6)
    assert matrices_of(np.zeros((0, 2)), np.zeros((0, 2)), 32).shape == (0, 2, 3)


def test_a_file_gets_crops_and_matrices_in_batches() -> None:
    sizes: list[int] = []
    found = GraphLocator(runner(sizes, "keypoints", "scores"), 2)(crops(), CENTER, SIDES)
    assert sizes == [2, 1]
    np.testing.assert_allclose(found.keypoints[:, 0], CENTER - SIDES / 2, atol=1e-6)
    assert found.scores[:, 1].tolist() == [1, 2, 3]
    assert found.covariance is None


def test_covariances_are_given_where_asked_for_and_unknown_where_the_file_has_none() -> None:
    outputs = ("keypoints", "scores", "covariance")
    known = GraphLocator(runner([], *outputs), covariance=True)(crops(), CENTER, SIDES).covariance
    unknown = GraphLocator(runner([], *outputs[:2]), covariance=True)(crops(), CENTER, SIDES).covariance
    assert known is not None
    assert unknown is not None
    assert (known == 1).all()
    assert unknown.shape == known.shape == (3, 2, 2, 2)
    assert np.isnan(unknown).all()
    assert GraphLocator(runner([], *outputs))(crops(), CENTER, SIDES).covariance is None


def test_no_crops_give_no_landmarks() -> None:
    none = np.zeros((0, 2))
    found = GraphLocator(runner([], "keypoints", "scores"), covariance=True)(iter(()), none, none)
    assert found.keypoints.shape == (0, 2, 2)
    assert found.covariance is not None
    assert found.covariance.shape == (0, 2, 2, 2)
