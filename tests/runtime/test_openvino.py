"""Networks by OpenVINO, and the changes of a model in int8 before it is compiled."""

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from darkpose.deploy.export import ExportOptions, export_onnx
from darkpose.network.load import load_checkpoint
from darkpose.runtime.exported import open_exported
from darkpose.runtime.openvino import OpenVinoNetwork, keep_sums_unrounded

openvino = pytest.importorskip("openvino")
for package in ("onnx", "onnxruntime"):
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
    """Whether an operation is a convolution, or adds its bias."""
    return op.get_type_name() == "Convolution" or (
        op.get_type_name() == "Add"
        and op.input_value(0).get_node().get_type_name() == "Convolution"
        and op.input_value(1).get_node().get_type_name() in ("Constant", "Reshape")
    )


def kinds_behind_convolutions(model: Any) -> Counter[str]:
    """Operations that use the results of convolutions, by kind; adding a bias does not count."""
    found: Counter[str] = Counter()
    for op in filter(is_convolution, model.get_ordered_ops()):
        users = [user.get_node() for user in op.output(0).get_target_inputs()]
        found.update(user.get_type_name() for user in users if not is_convolution(user))
    return found


def test_sums_take_unrounded_convolutions_and_relus_stay(files: dict[str, Path]) -> None:
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


def test_heatmaps_are_closer_to_those_of_float32_than_with_rounded_sums(
    files: dict[str, Path], crops: np.ndarray
) -> None:
    from darkpose.runtime.onnx import OnnxNetwork

    exact = OpenVinoNetwork(files["fp32"])(crops[:2])
    by_openvino = OpenVinoNetwork(files["int8"], int8=True)(crops[:2])
    by_onnxruntime = OnnxNetwork(open_exported(files["int8"]).with_heatmaps())(crops[:2])
    assert 0 < np.abs(by_openvino - exact).mean() < np.abs(by_onnxruntime - exact).mean()


def test_a_model_in_float32_stays_as_it_is(files: dict[str, Path]) -> None:
    model = openvino.Core().read_model(files["fp32"])
    before = [op.get_type_name() for op in model.get_ordered_ops()]
    keep_sums_unrounded(model)
    assert [op.get_type_name() for op in model.get_ordered_ops()] == before


def test_ctrl_c_is_caught_after_networks_were_opened_and_dropped(files: dict[str, Path]) -> None:
    program = (
        "import os, signal\n"
        "from pathlib import Path\n"
        "from darkpose.runtime.openvino import OpenVinoNetwork\n"
        f"opened = [OpenVinoNetwork(Path({str(files['fp32'])!r})) for _ in range(2)]\n"
        "while opened: opened.pop(0)\n"
        "signal.signal(signal.SIGINT, lambda *_: print('caught'))\n"
        "os.kill(os.getpid(), signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "caught\n"), done.stderr
