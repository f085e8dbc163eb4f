"""What is changed in a model before OpenVINO compiles it."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.network.load import load_checkpoint
from darkpose.runtime.exported import open_graph
from darkpose.runtime.openvino import keep_sums_unrounded

openvino = pytest.importorskip("openvino")
for package in ("onnx", "onnxscript", "onnxruntime"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (12, 64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def files(small_weights: Path, crops: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same network in float32 and in int8."""
    folder, checkpoint = tmp_path_factory.mktemp("files"), load_checkpoint(small_weights)
    found = {"fp32": folder / "fp32.onnx", "int8": folder / "int8.onnx"}
    found["fp32"].write_bytes(export_onnx(checkpoint, ExportOptions(heatmaps=True)))
    found["int8"].write_bytes(export_onnx(checkpoint, ExportOptions(precision="int8", heatmaps=True), None, crops))
    return found


def is_convolution(op: Any) -> bool:
    """Whether an operation is one, or adds its bias."""
    return op.get_type_name() == "Convolution" or (
        op.get_type_name() == "Add"
        and op.input_value(0).get_node().get_type_name() == "Convolution"
        and op.input_value(1).get_node().get_type_name() in ("Constant", "Reshape")
    )


def kinds_behind_convolutions(model: Any) -> Counter[str]:
    """What takes the convolutions' results, by kind of operation; biases are no takers."""
    found: Counter[str] = Counter()
    for op in filter(is_convolution, model.get_ordered_ops()):
        users = [user.get_node() for user in op.output(0).get_target_inputs()]
        found.update(user.get_type_name() for user in users if not is_convolution(user))
    return found


def test_sums_take_convolutions_as_they_are_and_relus_stay(files: dict[str, Path]) -> None:
    model = openvino.Core().read_model(files["int8"])
    before = kinds_behind_convolutions(model)
    keep_sums_unrounded(model)
    after = kinds_behind_convolutions(model)
    assert before["Add"] < after["Add"]
    lows = []
    for op in model.get_ordered_ops():
        if op.get_type_name() == "FakeQuantize" and is_convolution(op.input_value(0).get_node()):
            lows.append(float(op.input_value(1).get_node().get_data().min()))
    assert lows
    assert min(lows) == 0  # what is left is a ReLU, too


def test_heatmaps_come_nearer_to_those_of_float32(files: dict[str, Path], crops: np.ndarray) -> None:
    matrices = np.zeros((2, 2, 3))
    exact = open_graph(files["fp32"], runtime="openvino")(crops[:2], matrices)["heatmaps"]
    errors = {
        runtime: np.abs(open_graph(files["int8"], runtime=runtime)(crops[:2], matrices)["heatmaps"] - exact).mean()
        for runtime in ("openvino", "onnxruntime")
    }
    assert 0 < errors["openvino"] < errors["onnxruntime"]


def test_a_model_in_float32_stays_as_it_is(files: dict[str, Path]) -> None:
    model = openvino.Core().read_model(files["fp32"])
    before = [op.get_type_name() for op in model.get_ordered_ops()]
    keep_sums_unrounded(model)
    assert [op.get_type_name() for op in model.get_ordered_ops()] == before
