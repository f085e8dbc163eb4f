from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from darkpose.codec.heatmap import Method
from darkpose.deploy.face_crops import FaceCrops, drawn_crops
from darkpose.deploy.landmark_module import LandmarkModule, positive_part
from darkpose.deploy.run_file import crop_matrices
from darkpose.network.checkpoint import Checkpoint
from darkpose.network.load import load_checkpoint
from darkpose.predict.covariance import excess
from darkpose.predict.landmarks import LandmarkFinder
from darkpose.runtime.flip import FlipTest
from darkpose.runtime.torch import TorchNetwork
from darkpose.schema import W300_68
from darkpose.weights.calibrations import calibration_beside
from darkpose.weights.zoo import weights_file

numbers = st.floats(-20, 20, allow_nan=False, width=32)


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8))
def test_the_positive_part_is_that_of_the_eigenvalues(entries: list[tuple[float, float, float]]) -> None:
    matrices = np.array([[[a, b], [b, d]] for a, b, d in entries])
    found = positive_part(torch.from_numpy(matrices)).numpy()
    np.testing.assert_allclose(found, excess(matrices, 0.0), rtol=0, atol=1e-9)


def test_the_positive_part_of_what_is_not_known_is_not_known() -> None:
    assert positive_part(torch.full((1, 2, 2), torch.nan)).isnan().all()


def test_the_positive_part_of_nothing_and_of_a_multiple_of_one_are_themselves() -> None:
    for factor in (0.0, 3.0):
        matrix = factor * torch.eye(2)[None]
        assert (positive_part(matrix) == matrix).all()


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    return load_checkpoint("300w-small-dark")


@pytest.fixture(scope="module")
def faces(checkpoint: Checkpoint) -> FaceCrops:
    return drawn_crops(2, checkpoint.config)


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("flip_test", get_args(FlipTest))
def test_the_graph_finds_what_the_predictor_finds(
    checkpoint: Checkpoint, faces: FaceCrops, flip_test: FlipTest, method: Method
) -> None:
    uncertain = method in ("dark", "dark+")
    calibration = calibration_beside(weights_file("300w-small-dark"), W300_68) if uncertain else None
    assert calibration is not None or not uncertain
    config = checkpoint.config
    expected = LandmarkFinder(
        TorchNetwork(checkpoint.model, config.normalisation, torch.device("cpu")),
        checkpoint.schema,
        flip_test,
        method,
        covariance=uncertain,
        calibration=calibration,
    )(faces.crops, faces.center, faces.sides)
    graph = LandmarkModule(checkpoint, flip_test=flip_test, method=method, calibration=calibration)
    matrices = crop_matrices(faces.center, faces.sides, config.crop_size)
    with torch.inference_mode():
        found = graph(torch.from_numpy(faces.crops), torch.from_numpy(matrices.astype(np.float32)))
    assert len(found) == (4 if uncertain else 3)
    np.testing.assert_allclose(found[0], expected.keypoints, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found[1], expected.scores, rtol=0, atol=1e-5)
    assert found[-1].shape == (2, 68, 64, 64)
    if uncertain:
        assert expected.covariance is not None
        np.testing.assert_allclose(found[2], expected.covariance, rtol=1e-2, atol=1e-2)


def test_crops_of_bytes_and_of_floats_are_the_same_to_the_graph(checkpoint: Checkpoint, faces: FaceCrops) -> None:
    graph = LandmarkModule(checkpoint)
    with torch.inference_mode():
        crops = torch.from_numpy(faces.crops[:1])
        assert (graph.find(crops) == graph.find(crops.float())).all()
