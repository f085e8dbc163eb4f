"""The graph of an exported file finds what the module in torch finds."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from darkpose.codec.heatmap import Method
from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.deploy.landmark_graph import folded
from darkpose.deploy.landmark_module import LandmarkModule
from darkpose.deploy.run_file import open_file
from darkpose.network.checkpoint import Checkpoint, model_arrays
from darkpose.network.hrnet import HRNet, initialise
from darkpose.runtime.flip import FlipTest
from darkpose.schema import W300_68
from darkpose.weights.calibrations import Calibration
from darkpose.weights.checkpoint import CheckpointConfig, HRNetConfig

onnx = pytest.importorskip("onnx")
SIZE = 64
CALIBRATION = Calibration("300w-68", 5.0, tuple(np.linspace(0, 2, 68)), tuple(np.linspace(0.1, 2, 68)), {})


@pytest.fixture(scope="module")
def checkpoint() -> Checkpoint:
    """Random weights, batch norms with statistics other than their first."""
    network = HRNetConfig(68, widths=(4, 6, 8, 10), modules=(1, 1, 1), blocks=1, stem=8)
    model = HRNet(network)
    initialise(model, seed=0, head_std=0.5)
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor in module.state_dict(keep_vars=True).values():
                if tensor.is_floating_point():
                    tensor.data = 0.5 + torch.rand(tensor.shape, generator=generator)
    return Checkpoint(model.eval(), CheckpointConfig(network, crop_size=SIZE), W300_68, {})


def options_to_try() -> list[ExportOptions]:
    flips = [ExportOptions(flip_test=flip) for flip in get_args(FlipTest)]
    methods = [ExportOptions(method=method) for method in get_args(Method)]
    others = [ExportOptions(precision="fp16"), ExportOptions(small=True), ExportOptions(crops="float32", opset=23)]
    return [*flips, *methods, *others]


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("options", options_to_try(), ids=str)
def test_the_file_gives_the_landmarks_of_torch(
    checkpoint: Checkpoint, options: ExportOptions, runtime: str, tmp_path: Path
) -> None:
    pytest.importorskip(runtime)
    rng = np.random.default_rng(0)
    crops = rng.integers(0, 256, (3, SIZE, SIZE, 3), np.uint8)
    matrices = rng.uniform(-2, 2, (3, 2, 3)).astype(np.float32)
    calibration = CALIBRATION if options.method in ("dark", "dark+") else None
    module = LandmarkModule(checkpoint, flip_test=options.flip_test, method=options.method, calibration=calibration)
    with torch.inference_mode():
        points, scores, *covariance, _ = (each.numpy() for each in module(*map(torch.from_numpy, (crops, matrices))))
    file = tmp_path / "file.onnx"
    file.write_bytes(export_onnx(checkpoint, options, CALIBRATION))
    found = open_file(file, runtime)(crops.astype(options.crops), matrices)  # type: ignore[arg-type]
    assert list(found) == ["keypoints", "scores", "covariance"][: 2 + len(covariance)]
    # Of noise: in half precision, and for the steps that float32 cannot hold, some peaks are others.
    tolerance, share = (0.05, 0.5) if options.precision == "fp16" else (1e-3, 0.95)
    assert np.quantile(np.abs(found["keypoints"] - points), share) < tolerance
    assert np.quantile(np.abs(found["scores"] - scores), share) < tolerance * np.abs(scores).max() / 10
    if covariance:
        known = np.isfinite(covariance[0])
        assert (known == np.isfinite(found["covariance"])).mean() > share
        error = np.abs(found["covariance"] - covariance[0])[known] / np.abs(covariance[0][known])
        assert np.nanquantile(error, share) < tolerance * 10


def test_no_batch_norm_is_left_of_folded_weights_and_the_given_ones_stay(checkpoint: Checkpoint) -> None:
    arrays = model_arrays(checkpoint.model)
    before = {name: values.copy() for name, values in arrays.items()}
    assert not [name for name in folded(arrays) if "running" in name or "bn" in name]
    assert all(np.array_equal(values, before[name]) for name, values in arrays.items())


def test_a_small_file_keeps_weights_in_half_precision_and_loses_nothing(checkpoint: Checkpoint, tmp_path: Path) -> None:
    model = copy.deepcopy(checkpoint.model)
    for name, values in model.state_dict().items():
        if values.ndim == 4:  # convolutions, as checkpoints have them
            model.state_dict()[name].copy_(values.half().float())
    rounded = replace(checkpoint, model=model)
    crops = np.random.default_rng(0).integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    matrices = np.tile(np.eye(2, 3, dtype=np.float32), (2, 1, 1))
    found, sizes = [], []
    for small in (False, True):
        file = tmp_path / f"{small}.onnx"
        file.write_bytes(export_onnx(rounded, ExportOptions(small=small)))
        sizes.append(sum(each.raw_data.__len__() for each in onnx.load(file).graph.initializer))
        opened = open_file(file, "onnxruntime")
        assert opened.card.precision == "fp32"
        found.append(opened(crops, matrices)["scores"])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-4)
    assert sizes[1] < 0.7 * sizes[0]
