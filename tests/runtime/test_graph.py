"""Graphs of networks whose weights stay in the safetensors file."""

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from darkpose.datasets.drawn_face import draw_face
from darkpose.errors import DarkposeError
from darkpose.image.geometry import landmark_box
from darkpose.image.pixels import Pixels, cut_crops
from darkpose.runtime.graph import DIGEST_KEY, embedded_graph, linked_graph
from darkpose.runtime.network import Network
from darkpose.runtime.onnx import OnnxNetwork
from darkpose.weights.checkpoint import CheckpointFile, open_checkpoint
from darkpose.weights.zoo import SHIPPED, shipped_file

SHIPPED_NETWORKS = [
    pytest.param(name, part.name, id=f"{name}-{part.name}")
    for name in SHIPPED
    for part in open_checkpoint(shipped_file(name)).schema.parts
]


@pytest.fixture(scope="module")
def crops() -> Pixels:
    faces = [draw_face(0, index) for index in range(2)]
    boxes = [landmark_box(face.keypoints) for face in faces]
    return np.stack(list(cut_crops((face.image for face in faces), boxes, 256, 1.25)[0]))


def by_torch(weights: CheckpointFile) -> Network:
    pytest.importorskip("torch")
    import torch

    from darkpose.network.load import load_checkpoint
    from darkpose.runtime.torch import TorchNetwork

    checkpoint = load_checkpoint(weights.path, schema=weights.schema.name)
    return TorchNetwork(checkpoint.model, checkpoint.config.normalisation, torch.device("cpu"))


def by_openvino(graph: Path | bytes) -> Network:
    pytest.importorskip("openvino")
    from darkpose.runtime.openvino import OpenVinoNetwork

    return OpenVinoNetwork(graph)


@pytest.mark.parametrize(("name", "schema"), SHIPPED_NETWORKS)
def test_the_graphs_in_the_package_are_those_of_the_weights_in_the_package(name: str, schema: str) -> None:
    pytest.importorskip("onnx")
    import onnx

    weights = open_checkpoint(shipped_file(name)).with_schema(schema)
    assert weights.graph.read_bytes() == linked_graph(weights), "run scripts/network_graphs.py"
    model = onnx.load(weights.graph, load_external_data=False)
    digest = hashlib.sha256(weights.path.read_bytes()).hexdigest()
    assert {each.key: each.value for each in model.metadata_props} == {DIGEST_KEY: digest}
    onnx.checker.check_model(weights.graph)


@pytest.mark.parametrize(("name", "schema"), SHIPPED_NETWORKS)
def test_a_graph_gives_the_heatmaps_of_torch(name: str, schema: str, crops: Pixels) -> None:
    weights = open_checkpoint(shipped_file(name)).with_schema(schema)
    np.testing.assert_allclose(OnnxNetwork(weights.graph)(crops), by_torch(weights)(crops), rtol=0, atol=1e-5)


def test_openvino_gives_the_heatmaps_of_torch_for_one_crop_and_for_several(crops: Pixels) -> None:
    weights = open_checkpoint(shipped_file("300w-small-dark")).with_schema("300w-68")
    expected, network = by_torch(weights)(crops), by_openvino(weights.graph)
    np.testing.assert_allclose(network(crops), expected, rtol=0, atol=1e-5)
    np.testing.assert_allclose(network(crops[:1]), expected[:1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("open_graph", [OnnxNetwork, by_openvino])
def test_a_graph_of_other_weights_holds_them(small_weights: Path, open_graph: Callable[[bytes], Network]) -> None:
    pytest.importorskip("onnx")
    weights = open_checkpoint(small_weights)
    network, size = open_graph(embedded_graph(weights.config, weights.arrays())), weights.config.crop_size
    crops = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    expected = np.asarray(by_torch(weights)(crops))
    np.testing.assert_allclose(network(crops), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_where_onnx_is_missing_the_extra_is_named(small_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DarkposeError, match=r"onnx: pip install 'darkpose\[export\]'"):
        linked_graph(open_checkpoint(small_weights))
